"""Satisfaction: the counters that the aggregator keeps."""

from enum import StrEnum

from pydantic import Field

from schemas.contract import Contract, Instant


class Window(StrEnum):
    """Tumbling windows, in the local time of the delivery's zone."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    ALL = "all"


class SatisfactionCell(Contract):
    """`satisfaction.cells.v1`: absolute counters of one cell; a higher version replaces a lower one."""

    cut: str
    value: str
    window: Window
    start: str | None = None
    version: int = Field(ge=1)
    scores: tuple[int, int, int, int, int]
    answers: int
    delivered: int
    asked: int
    suppressed: int
    pending: int
    failed: int
    commented: int
    contested: int
    as_of: Instant
