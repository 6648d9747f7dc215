"""The live line: the satisfied share of short windows, smoothed (EWMA), with the range that chance explains (D8)."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.aggregator.statistics.bands import band, smoothed, spread

_LONGEST = 240.0
_FIRST = 30
"""The line begins when so many answers tell what is usual; before that everything would look like an alarm."""


@dataclass(slots=True)
class Line:
    """Takes the running totals as they are read and closes a window every `window` seconds."""

    window: float = 2.0
    _points: deque[list[float | None]] = field(default_factory=deque)
    _began: float | None = None
    _satisfied: int = 0
    _answers: int = 0
    _level: float | None = None
    _spread: float = 0.0

    def add(self, at: float, satisfied: int, answers: int) -> None:
        """Tell the totals of now; corrections of earlier answers move the window they arrive in."""
        if self._began is not None and at < self._began:  # the clock was set back
            self._began = None
            while self._points and (self._points[-1][0] or 0.0) > at:
                self._points.pop()
        if self._began is None:
            self._began, self._satisfied, self._answers = at, satisfied, answers
        elif at - self._began >= self.window:
            new, of = satisfied - self._satisfied, answers - self._answers
            self._close(at, min(max(new, 0), max(of, 0)), of, answers, satisfied / answers if answers else 0.0)
            self._began, self._satisfied, self._answers = at, satisfied, answers
        while self._points and at - (self._points[0][0] or 0.0) > _LONGEST:
            self._points.popleft()

    def _close(self, at: float, new: int, of: int, answers: int, usual: float) -> None:
        if of <= 0 or answers < _FIRST:
            return
        self._level = smoothed(usual if self._level is None else self._level, new / of)
        # The band follows the number of answers, so it is wide in quiet hours.
        self._spread = spread(self._spread, usual, of)
        ends = band(usual, self._spread, answers)
        self._points.append([round(at, 2), *(round(x, 5) for x in (self._level, *ends, usual)), of])

    def points(self, latest: int | None = None) -> Sequence[list[float | None]]:
        """Points as (time, share, band from, band to, usual, answers), oldest first; or only the latest."""
        every = list(self._points)
        return every if latest is None else every[-latest:]
