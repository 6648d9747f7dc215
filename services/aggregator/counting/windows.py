"""Tumbling windows on the clock of the delivery's zone, and how a cell is packed into one number. Pure.

A packed cell is `unit << 32 | base of the window | index`. Hour, day, month and all have two bits and thirty for the
index; all needs only index 0, so week and minute lie above it. So no cell that was packed before moves.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.satisfaction import Window

Int64 = NDArray[np.int64]
WINDOWS: Final = (Window.HOUR, Window.DAY, Window.MONTH, Window.ALL, Window.WEEK, Window.MINUTE)
"""In the order of the bits of a mask of windows."""
BASES: Final = (0, 1 << 30, 2 << 30, 3 << 30, 3 << 30 | 1 << 28, 3 << 30 | 2 << 28)
"""Where the indexes of each of them begin."""
_ENDS: Final = (*BASES[1:], 1 << 32)
_UNIT_SHIFT: Final = 32
_IN_UNIT: Final = (1 << 32) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = np.datetime64("1970-01-01", "D")
_TO_THURSDAY: Final = 3  # 1970 began on a Thursday; its week on the Monday before


def mask_of(windows: tuple[Window, ...]) -> int:
    """A set of windows as bits, in the order of `WINDOWS`."""
    return sum(1 << WINDOWS.index(w) for w in set(windows))


def windows_in(mask: int) -> tuple[Window, ...]:
    """The windows of a mask, short ones first."""
    return tuple(w for w in Window if mask >> WINDOWS.index(w) & 1)


def base_of(window: Window) -> int:
    """Where the window's indexes begin."""
    return BASES[WINDOWS.index(window)]


def last_of(window: Window) -> int:
    """The highest index that the window has room for."""
    place = WINDOWS.index(window)
    return _ENDS[place] - BASES[place] - 1


def codes(local_minutes: Int64, place: int) -> Int64:
    """Base and index of the window `WINDOWS[place]` for minutes since 1970 on a wall clock."""
    days = local_minutes // 1440
    match WINDOWS[place]:
        case Window.MINUTE:
            index = local_minutes
        case Window.HOUR:
            index = local_minutes // 60
        case Window.DAY:
            index = days
        case Window.WEEK:
            index = (days + _TO_THURSDAY) // 7
        case Window.MONTH:
            index = (_EPOCH_DAY + days).astype("datetime64[M]").astype(np.int64)
        case _:
            index = np.zeros_like(days)
    packed: Int64 = index + BASES[place]
    return packed


def pack(units: Int64, window_codes: Int64) -> Int64:
    """Cells of units in windows."""
    return (units << _UNIT_SHIFT) | window_codes


def unpack(cell: int) -> tuple[int, Window, int]:
    """Unit, window and index of a packed cell."""
    rest = cell & _IN_UNIT
    place = next(i for i in range(len(BASES) - 1, -1, -1) if rest >= BASES[i])
    return cell >> _UNIT_SHIFT, WINDOWS[place], rest - BASES[place]


def window_start(window: Window, index: int) -> str | None:
    """The window's first moment on the local clock: `2026-10-13T14:05`, `2026-10-13`, a Monday, or `2026-10`."""
    match window:
        case Window.MINUTE:
            return (_EPOCH + timedelta(minutes=index)).strftime("%Y-%m-%dT%H:%M")
        case Window.HOUR:
            return (_EPOCH + timedelta(hours=index)).strftime("%Y-%m-%dT%H:00")
        case Window.DAY:
            return (_EPOCH + timedelta(days=index)).strftime("%Y-%m-%d")
        case Window.WEEK:
            return (_EPOCH + timedelta(days=7 * index - _TO_THURSDAY)).strftime("%Y-%m-%d")
        case Window.MONTH:
            return f"{1970 + index // 12:04d}-{index % 12 + 1:02d}"
        case _:
            return None


def window_index(window: Window, start: str) -> int:
    """The index of the window that a local date or time lies in: `2026-10-13T14:05`, `2026-10-13` or `2026-10`.

    Raises:
        ValueError: it is no such text, or before 1970.
    """
    text = f"{start}-01" if len(start) == len("2026-10") else start
    at = datetime.fromisoformat(text)
    if at.tzinfo is not None or at.year < _EPOCH.year:
        raise ValueError("a local time since 1970, without a zone")
    minutes = int((at.replace(tzinfo=UTC) - _EPOCH).total_seconds()) // 60
    place = WINDOWS.index(window)
    return int(codes(np.array([minutes], np.int64), place)[0]) - BASES[place]
