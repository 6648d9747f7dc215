"""Which tests of `make test` run beside each other, and in which order.

Fault tests share one lane, and so do those that drive a demo; everything else goes file by file to whichever lane is
free, the files that take longest first, so that no lane is left with a long one at the end.
"""

from xdist.scheduler.loadscope import LoadScopeScheduling

_DEMOS = frozenset({"browser", "e2e"})
_APART = frozenset({"tests/integration/test_api_any_input.py", "tests/integration/test_api_drawn.py"})
"""Their tests take long each and share nothing but a database that is made in no time."""
_LONGEST_FIRST = (
    "demos",
    "faults",
    "tests/integration/test_counter_storms.py",
    "tests/integration/test_embedded_servers.py",
    "tests/integration/test_outbox",
    "tests/integration/test_replay_shadow.py",
    "tests/integration/test_month_replay.py",
    "tests/integration/test_kafka_away.py",
    "tests/integration/test_cut_changes.py",
    "tests/integration/",
    "tests/security/",
    "",
)
_ONE_SYSTEM = ("strange_records", "killed_services", "paused_services", "servers_away")
"""Fault tests that share a system: the first repeats all that is in its topics, the last upsets its books."""


def scope_of(nodeid: str) -> str:
    """What runs in one lane, in its order."""
    file = nodeid.partition("::")[0]
    folder = file.split("/")[1]
    if folder in _DEMOS:
        return "demos"
    if folder == "faults":
        return "faults"
    return nodeid if file in _APART else file


def rank_of(nodeid: str) -> tuple[int, int]:
    """Where a test stands in the queue; tests of one rank keep their order."""
    scope = scope_of(nodeid)
    place = next((n for n, name in enumerate(_ONE_SYSTEM, 1) if f"faults/test_{name}." in nodeid), 0)
    return next(rank for rank, beginning in enumerate(_LONGEST_FIRST) if scope.startswith(beginning)), place


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # ships no types
    """Hands scopes to lanes in the order of the queue."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
