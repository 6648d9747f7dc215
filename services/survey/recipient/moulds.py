"""Pages rendered once and then only filled: most of a page is the same for all who look at it.

A mould is what the template made of a page whose facts about one delivery are marks. Filling puts the facts in
their place, escaped as the template would have escaped them. Marks are drawn at start and never shown, so that
no shop's name can pass for one.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import escape

MOST_MOULDS = 512
"""Each is as large as its page; the ones used longest ago go first."""


@dataclass(frozen=True, slots=True)
class Mould:
    """Pieces of a page; every second one is open for the fact of that name."""

    pieces: Sequence[bytes]
    names: Sequence[str]

    def fill(self, facts: Mapping[str, str]) -> bytes:
        """The page with these facts, as text that is not yet escaped."""
        told = {name: str(escape(fact)).encode() for name, fact in facts.items()}
        pieces = list(self.pieces)
        pieces[1::2] = [told[name] for name in self.names]
        return b"".join(pieces)


@dataclass(slots=True)
class Moulds:
    """The moulds in use."""

    most: int = MOST_MOULDS
    _secret: str = field(default_factory=lambda: secrets.token_hex(16))
    _moulds: OrderedDict[Hashable, Mould] = field(default_factory=OrderedDict)

    def fill(self, state: Hashable, facts: Mapping[str, str], render: Callable[[Mapping[str, str]], str]) -> bytes:
        """A page from its mould.

        Args:
            state: all that the page depends on, other than the facts.
            facts: what stands in the page as it is; the template must not look into it.
            render: makes the page from marks in the place of facts; called when there is no mould yet.
        """
        mould = self._moulds.get(state)
        if mould is None:
            mould = self._moulds[state] = self._cast(render({name: self._mark(name) for name in facts}))
            if len(self._moulds) > self.most:
                self._moulds.popitem(last=False)
        else:
            self._moulds.move_to_end(state)
        return mould.fill(facts)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._moulds)

    def _mark(self, name: str) -> str:
        return f"open-{self._secret}-{name}-"

    def _cast(self, page: str) -> Mould:
        pieces = re.split(rf"open-{self._secret}-(\w+)-", page)
        return Mould([p.encode() for p in pieces], pieces[1::2])
