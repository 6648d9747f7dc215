"""What partners read: `satisfaction.partner.<id>.v1`, one topic for each partner, all with the same values."""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from schemas.contract import Contract, Count, Identifier, Instant, Revision
from schemas.satisfaction import CutValue, WindowStart
from schemas.topics import TopicCard


class PartnerWindow(StrEnum):
    """Windows in the local time of the delivery's zone; none overlaps another."""

    WEEK = "week"
    MONTH = "month"


class Grid(StrEnum):
    """How often something may be published: daily, on Mondays, or on the first of a month, at 03:00 UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class PartnerCell(Contract):
    """A sum of releases of at least `k` respondents each; a higher version replaces a lower one.

    A total is the sum of the cells that are shown below it, so it can be lower than what really was answered.
    """

    partner: Identifier
    """Whose view this is."""
    cut: Identifier
    """What the cell is cut by; `total` is everything that this partner may see."""
    value: CutValue
    """Which one of them; for a group, the unit that it belongs under. Empty for the whole."""
    grouped_units: Count | None = None
    """Only in a group: how many units of the cut are in it, each too small to be shown."""
    window: PartnerWindow
    """How long a stretch of time the cell covers, by when the parcel was delivered."""
    start: WindowStart
    """Where the stretch begins: `2026-10`, or a Monday as `2026-10-05`."""
    version: Revision
    """Counts the publications of this cell."""
    scores: tuple[Count, Count, Count, Count, Count]
    """How many answers gave each face, from 1 (very dissatisfied) to 5 (very satisfied)."""
    answers: Count
    """The sum of `scores`."""
    k: Annotated[int, Field(ge=10)]
    """Every change of a number holds at least so many respondents."""
    grid: Grid
    """How often this may change."""
    as_of: Instant
    """The moment of publication: nothing later is in it. What is not in it yet may wait for further answers."""


PARTNER_CELLS: Final = "satisfaction.partner"
_WEEK: Final = timedelta(days=7)

PARTNER_CARD: Final = TopicCard(
    name=f"{PARTNER_CELLS}.v1",
    title="What a partner may see of the answers",
    about=(
        "One topic for each partner, `satisfaction.partner.<id>.v1`, made by `kvittera partners add`. Absolute numbers "
        "of one cell, published at fixed moments and only where the changes of enough respondents come together. A "
        "higher version replaces a lower one. A tombstone means that too few answers are left: forget the cell."
    ),
    key="cell key",
    owner="aggregator",
    producers=("aggregator",),
    consumers=("partners",),
    retention=_WEEK,
    model=PartnerCell,
    partitions=1,
    cleanup="compact",
    parameter=("partner", "The id of the partner, as `kvittera partners list` shows it."),
)
"""The template of every partner's topic."""


def partner_topic(partner: str) -> str:
    """The name of a partner's topic."""
    return f"{PARTNER_CELLS}.{partner}.v1"


def partner_card(partner: str) -> TopicCard:
    """The card of a partner's topic."""
    return replace(PARTNER_CARD, name=partner_topic(partner), parameter=None)
