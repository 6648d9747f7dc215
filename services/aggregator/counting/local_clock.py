"""Instants on the clocks on the wall of zones."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from services.aggregator.counting.windows import Int64
from services.chassis.failures import Poison

_QUARTER = 900
_FEW = 32
"""So many are quicker one by one."""
_MOST_OFFSETS = 100_000
"""About three years of quarters."""


class LocalClock:
    """Instants as minutes since 1970 on a zone's wall clock; zone rules are asked once per quarter of an hour."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}

    def minutes(self, moments: Sequence[datetime], zones: Sequence[str]) -> Int64:
        """The wall-clock minutes of moments, each in its zone.

        Raises:
            Poison: for a zone that does not exist.
        """
        if len(moments) < _FEW:
            return np.array([*map(self.minute, moments, zones)], np.int64)
        seconds = np.fromiter(map(datetime.timestamp, moments), np.float64, len(moments)).astype(np.int64)
        offsets = np.empty_like(seconds)
        quarters = seconds // _QUARTER
        different_zones = set(zones)
        for zone in different_zones:
            here = np.array([z == zone for z in zones]) if len(different_zones) > 1 else slice(None)
            different, which = np.unique(quarters[here], return_inverse=True)
            offsets[here] = np.array([self._offset(zone, q) for q in different.tolist()])[which]
        # West of Greenwich the first hours of 1970 lie before it; they count in the first hour there is.
        minutes: Int64 = np.maximum(0, seconds + offsets) // 60
        return minutes

    def minute(self, at: datetime, zone: str) -> int:
        """The wall-clock minute of one moment. Raises what `minutes` raises."""
        seconds = int(at.timestamp())
        return max(0, seconds + self._offset(zone, seconds // _QUARTER)) // 60

    def _offset(self, zone: str, quarter: int) -> int:
        offset = self._offsets.get((zone, quarter))
        if offset is None:
            delta = datetime.fromtimestamp(quarter * _QUARTER, UTC).astimezone(_rules(zone)).utcoffset()
            if len(self._offsets) > _MOST_OFFSETS:
                self._offsets.clear()
            offset = self._offsets[zone, quarter] = int((delta or timedelta()).total_seconds())
        return offset


def _rules(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        # OSError: a folder of the zone database, such as "Europe"; it is no passing trouble.
        raise Poison("schema", "the zone is not known") from None
