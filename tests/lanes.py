"""Which tests of `make test` run beside each other: those that drive the whole system share one lane."""

from xdist.scheduler.loadscope import LoadScopeScheduling

_WHOLE_SYSTEM = frozenset({"browser", "e2e", "faults"})


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # ships no types
    """One lane works through the tests of the whole system; files of all others go to whichever lane is free."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "whole system" if file.split("/")[1] in _WHOLE_SYSTEM else file
