"""How long the latest answers took from saved to counted."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_MOST = 4000
_SPAN = 900.0
_PARTS = 60


@dataclass(slots=True)
class Freshness:
    """Keeps the ages at counting of the latest answers: at most 4,000, of the last 15 minutes."""

    _samples: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_MOST))

    def add(self, now: float, ages: Sequence[float]) -> None:
        """Tell how old answers were when they were counted."""
        self._samples.extend((now, age) for age in ages)

    def summary(self, now: float) -> dict[str, Any] | None:
        """Median and the slowest hundredth in seconds, or None where nothing was counted lately."""
        while self._samples and now - self._samples[0][0] > _SPAN:
            self._samples.popleft()
        if not self._samples:
            return None
        at, ages = np.array(self._samples, np.float64).T
        median, slow = np.percentile(ages, [50, 99])
        told = {"median": round(float(median), 3), "slowest": round(float(slow), 3), "answers": len(self._samples)}
        # The mean age in each of sixty parts of the span in which anything was counted, oldest first.
        part = np.minimum(((now - at) * (_PARTS / _SPAN)).astype(np.int64), _PARTS - 1)
        sums, n = np.bincount(part, ages, _PARTS), np.bincount(part, minlength=_PARTS)
        recent = (sums[n > 0] / n[n > 0])[::-1]
        return {**told, "recent": [round(float(age), 3) for age in recent]}
