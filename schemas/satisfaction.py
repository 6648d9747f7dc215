"""Satisfaction: the counters that the aggregator keeps."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.contract import Clean, Contract, Count, Identifier, Instant, Revision

CutValue = Annotated[str, StringConstraints(max_length=400), *Clean]
"""One value of a cut, in words or codes; several are joined by the aggregator. Empty for the whole."""

WindowStart = Annotated[str, StringConstraints(max_length=40), Field(pattern=r"^[0-9]{4}[0-9T:+\-Z]*$")]
"""A local date or time, cut off at the window: `2026-11-22T10:05`, `2026-11-22T10:00`, `2026-11-22` or `2026-11`; a
week begins on its Monday, `2026-11-16`."""


class Window(StrEnum):
    """Tumbling windows, in the local time of the delivery's zone."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"


class SatisfactionCell(Contract):
    """`satisfaction.cells.v1`: absolute counters of one cell; a higher version replaces a lower one.

    `delivered = asked + suppressed + pending + failed` holds in every cell.
    """

    cut: Identifier
    """What the cell is cut by, for example `country`, `terminal` or `merchant`."""
    value: CutValue
    """Which one of them."""
    window: Window
    """How long a stretch of time the cell covers."""
    start: WindowStart | None = None
    """Where the stretch begins, in the local time of the delivery; none when the window is `all`."""
    version: Revision
    """Counts the changes of this cell; not without gaps."""
    scores: tuple[Count, Count, Count, Count, Count]
    """How many answers gave each face, from 1 (very dissatisfied) to 5 (very satisfied)."""
    answers: Count
    """How many responses give a score and do not contest the delivery: the sum of `scores`."""
    delivered: Count
    """How many deliveries there are."""
    asked: Count
    """How many recipients were asked."""
    suppressed: Count
    """How many deliveries were not asked about, for a reason."""
    pending: Count
    """How many are scheduled or in doubt."""
    failed: Count
    """How many could not be asked although it was tried."""
    commented: Count
    """How many responses hold a comment."""
    contested: Count
    """How many recipients say that the parcel never came."""
    reached: Count = 0
    """Of how many deliveries a receipt says that a message arrived; channels without receipts tell of none."""
    opened: Count = 0
    """How many recipients touched the page or answered."""
    as_of: Instant
    """When the counters were read: everything that was stored before is in them."""


Share = Annotated[float, Field(strict=True, ge=0, le=1)]
"""A share, 0 to 1."""

LocalDay = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
"""A day on the clock of the deliveries: `2026-11-20`."""


class AlertChart(StrEnum):
    """The chart that signalled: CUSUM finds large and small lasting changes, EWMA slow ones."""

    CUSUM = "cusum"
    EWMA = "ewma"


class SatisfactionAlert(Contract):
    """`satisfaction.alert.v1`: more people are dissatisfied than chance explains, key = alert id.

    Names no person: responses are pseudonyms that only the survey service can open.
    """

    alert_id: Identifier
    """The alarm; the same cell gives the same id, also after a replay."""
    cut: Identifier
    """What the cell is cut by, for example `terminal`; never a driver."""
    value: CutValue
    """Which one of them."""
    window: Window
    """The length of the cells that were watched: `day`."""
    start: LocalDay
    """The day whose answers raised the alarm."""
    since: LocalDay
    """Where the stretch that signals begins: the best guess of when the change came."""
    chart: AlertChart
    """Which chart signalled."""
    dissatisfied: Count
    """How many answers of the stretch give face 1 or 2."""
    answers: Count
    """How many answers the stretch holds."""
    share: Share
    """The dissatisfied share of the stretch."""
    low: Share
    """Where its 95 % interval begins."""
    high: Share
    """Where its 95 % interval ends."""
    expected: Share
    """The share that the two months before let expect."""
    statistic: Annotated[float, Field(strict=True)]
    """What the chart showed: the sum of the CUSUM, or the smoothed share."""
    limit: Annotated[float, Field(strict=True)]
    """What it must not pass."""
    responses: Annotated[tuple[Identifier, ...], Field(max_length=100)] = ()
    """The dissatisfied responses of the stretch, at most 100: those with a comment first, then the newest."""
    raised_at: Instant
    """When the alarm was raised."""
