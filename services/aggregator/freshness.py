"""How long the latest answers took from saved to counted."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_MOST = 4000
_SPAN = 900.0


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
        ages = np.fromiter((age for _, age in self._samples), np.float64, len(self._samples))
        median, slow = np.percentile(ages, [50, 99])
        return {"median": round(float(median), 3), "slowest": round(float(slow), 3), "answers": len(self._samples)}
