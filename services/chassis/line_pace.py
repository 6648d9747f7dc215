"""How many lines of one kind a log takes in a second, and how many it went without. Pure."""

import math
from dataclasses import dataclass
from typing import Final

_SECOND: Final = 1.0


@dataclass(slots=True)
class LinePace:
    """Lets the first lines of each second through; a second begins with the first that it is asked for.

    Attributes:
        most: lines in a second; 0: none.
        left_out: lines that were wanted and not let through, since somebody last took the number.
    """

    most: int
    left_out: int = 0
    _since: float = -math.inf
    _used: int = 0

    def take(self, wanted: int, now: float) -> int:
        """How many of so many lines may be written now, in seconds that never go back; the others are left out."""
        if now - self._since >= _SECOND:
            self._since, self._used = now, 0
        allowed = min(wanted, self.most - self._used)
        self._used += allowed
        self.left_out += wanted - allowed
        return allowed
