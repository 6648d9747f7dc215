"""Every correction of a closed month that was published: when, why, and what it moved. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from services.aggregator.quality.revisions import FEWEST, Month, Revision
from services.aggregator.quality.weighed import too_biased_to_tell
from services.aggregator.statistics import Share


@dataclass(frozen=True, slots=True)
class Told:
    """What the public was told of a revision; None where too few answered, or the share was too biased."""

    answers: int | None
    satisfied: Share | None


@dataclass(frozen=True, slots=True)
class Correction:
    """A public revision of a month, beside the one that was public before it."""

    month: int
    revision: int
    closed_at: datetime
    reason: str
    before: Told
    after: Told


def corrections_of(month: Month) -> list[Correction]:
    """The corrections of a month that are public, the first one first.

    A revision that waits is not among them: alone it would show single answers.
    """
    held_back = too_biased_to_tell(month.shown, month.first)
    public = [(r, _told(r, month.first, held_back=held_back)) for r in (month.first, *month.corrections)]
    return [
        Correction(month.number, revision.number, revision.closed_at, revision.reason, before, after)
        for (_, before), (revision, after) in pairwise(public)
    ]


def latest_first(corrections: Iterable[Correction]) -> list[Correction]:
    """Corrections in the order in which they are read: what was published last stands first."""
    return sorted(corrections, key=lambda c: (c.closed_at, c.month, c.revision), reverse=True)


def _told(revision: Revision, first: Revision, *, held_back: bool) -> Told:
    answers = revision.total.answers
    share = None if held_back or too_biased_to_tell(revision, first) else revision.total.satisfied
    return Told(answers if answers >= FEWEST else None, share)
