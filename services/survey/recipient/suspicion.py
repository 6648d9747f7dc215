"""Answers that look as if a link scanner gave them. A measure, never a gate: they are kept and told apart (D10).

What is remembered of looks at a page lives in memory only: looking never writes. With several survey processes
each knows the looks that it served; what it has not seen it does not suspect.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

QUICKEST_HUMAN: Final = 1.0
"""Seconds from the first look to a tap without script that no person needs less of."""
SCAN_SECONDS: Final = 5.0
"""All five links of a message opened within this time: a program tries them all."""
SCAN_LASTS: Final = 60.0
"""A tap so soon after such a scan belongs to it; later ones are a person's."""
TRAP: Final = 6
"""A face that no message links to: a hidden link of the page marks it, which only a program follows."""
_FACES: Final = 5


@dataclass(slots=True)
class Looks:
    """When a page was looked at, in seconds of a clock that never jumps."""

    first: float
    faces: dict[int, float] = field(default_factory=dict)
    scanned: float | None = None
    trapped: float | None = None

    def note(self, now: float, face: int | None) -> None:
        """Remember a look; `face` is the one that the link marks."""
        if face is None:
            return
        if face == TRAP:
            self.trapped = now
            return
        self.faces[face] = now
        if len(self.faces) == _FACES and now - min(self.faces.values()) <= SCAN_SECONDS:
            self.scanned = now


def suspicion(looks: Looks | None, now: float, *, by_script: bool, honeypot: str) -> str | None:
    """Why an answer looks like a machine's, or None.

    Args:
        looks: what is known of looks at the page before; None: nothing.
        now: on the clock of `looks`, in seconds.
        by_script: the page's own script sent it, which it does on a trusted tap only.
        honeypot: what the field that people do not see was filled with.
    """
    if honeypot:
        return "honeypot"
    if by_script or looks is None:
        return None
    if looks.scanned is not None and now - looks.scanned <= SCAN_LASTS:
        return "all_faces"
    if looks.trapped is not None and now - looks.trapped <= SCAN_LASTS:
        return "hidden_link"
    return "too_fast" if now - looks.first < QUICKEST_HUMAN else None


@dataclass(slots=True)
class RecentLooks:
    """Looks at pages of the last minutes, by token hash; the oldest go first."""

    clock: Callable[[], float]
    most: int = 20_000
    seconds: float = 600.0
    _looks: OrderedDict[bytes, Looks] = field(default_factory=OrderedDict)

    def note(self, page: bytes, face: int | None) -> None:
        """Remember a look at a page that exists."""
        now = self.clock()
        self._forget(now)
        self._looks.setdefault(page, Looks(now)).note(now, face)

    def suspicion(self, page: bytes, *, by_script: bool, honeypot: str) -> str | None:
        """Why an answer to a page looks like a machine's, or None."""
        now = self.clock()
        self._forget(now)
        return suspicion(self._looks.get(page), now, by_script=by_script, honeypot=honeypot)

    def __len__(self) -> int:
        """How many pages are remembered."""
        return len(self._looks)

    def _forget(self, now: float) -> None:
        while self._looks:
            oldest = next(iter(self._looks))
            if len(self._looks) < self.most and now - self._looks[oldest].first <= self.seconds:
                return
            del self._looks[oldest]
