"""Whether receipts tell of enough people to say how many of those reached answered (D6). Pure."""

from enum import StrEnum
from typing import Final

from services.aggregator.statistics import Share
from services.aggregator.statistics.response import response_rates

RECEIPTS_FROM: Final = 0.8
"""Answered of reached is told only where at least this share of the asked are known as reached: channels without
receipts tell of none, and the rate would look too high. The limit is ours."""


class Receipts(StrEnum):
    """How much receipts tell: of most of those asked, of too few, or nothing at all."""

    MOST = "most"
    FEW = "few"
    NONE = "none"


def receipts_of(reached: int | None, asked: int) -> Receipts:
    """What receipts tell of so many asked; `reached` is None where receipts were not counted yet."""
    if not reached:
        return Receipts.NONE
    return Receipts.MOST if reached >= RECEIPTS_FROM * asked else Receipts.FEW


def both_rates(answers: int, reached: int | None, *, asked: int, delivered: int) -> tuple[Share | None, Share | None]:
    """Answered of reached, and answered of delivered.

    The first is None where receipts tell of too few, or an answer was counted before its receipt was.
    """
    known = receipts_of(reached, asked) is Receipts.MOST
    return response_rates(answers, reached or 0 if known else 0, delivered)
