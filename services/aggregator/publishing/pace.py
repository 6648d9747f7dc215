"""When cells are published and compared: at once in quiet times, seldom while there is much to count. Pure."""

from dataclasses import dataclass
from typing import Final

MANY: Final = 10_000
"""So many records wait where counting is far behind."""
COMPARE_AT_LATEST: Final = 10
"""A comparison is put off while counting is behind, but for no more than so many of its periods."""
_REPAIR_SHARE: Final = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """All times in seconds.

    Attributes:
        interval: between two passes in quiet times.
        behind: the same where `MANY` records or more wait; below that it grows with them.
        comparing: between two comparisons of the topic with the table.
    """

    interval: float
    behind: float
    comparing: float

    def pass_is_due(self, since: float, waiting: int, *, full: bool = False) -> bool:
        """Whether to publish again, so long after the last pass ended, while so many records wait.

        While counting catches up a cell changes in every batch, and only its last value matters. `full`: memory has
        no room for more of what was counted, and what does not fit must be read again.
        """
        return since >= self.interval and (full or since >= self.behind * min(1.0, waiting / MANY))

    def comparison_is_due(self, since: float, took: float, waiting: int) -> bool:
        """Whether to compare again, so long after the last comparison ended, which took so long."""
        # A large table is compared more seldom, so that it takes at most a twentieth of the time.
        period = self.comparing + took * _REPAIR_SHARE
        return since > (period if waiting < MANY else period * COMPARE_AT_LATEST)
