"""What strata say of a closed month: its weighted share, and whether its raw one may be told. Pure (D6, E17)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.aggregator.counting.cuts import wave_cut, wave_days
from services.aggregator.counting.reading import EARLY, LATE
from services.aggregator.quality.revisions import FEWEST, Month, Revision
from services.aggregator.quality.strata import CUTS, Strata, strata_of
from services.aggregator.statistics import Share
from services.aggregator.statistics.response import Weighted, early_late, post_stratified, reasons_not_to_publish


@dataclass(frozen=True, slots=True)
class Weighed:
    """A closed month without its strata, which may be thousands, and what they say of it: that never changes."""

    month: Month
    weighted: Weighted | None
    by: str
    """The cut that its strata come from."""
    reasons: Sequence[str]
    """Why its share is not told."""


@dataclass(frozen=True, slots=True)
class Waves:
    """Answers of the first days and later ones, and the difference of their satisfied shares with its interval."""

    days: int
    early: Share
    late: Share
    apart: tuple[float, float, float]


def weighed(month: Month) -> Weighed:
    """A month as it is kept. Where strata are thousands this takes long: not in a loop that serves others."""
    strata = strata_of(month.shown)
    weighted, reasons = _bias(month.shown, month.first, strata)
    return Weighed(_without_strata(month), weighted, strata.cut, reasons)


def _without_strata(month: Month) -> Month:
    def bare(revision: Revision) -> Revision:
        return replace(revision, cells={k: c for k, c in revision.cells.items() if k[0] not in CUTS})

    return replace(
        month,
        first=bare(month.first),
        shown=bare(month.shown),
        corrections=tuple(bare(r) for r in month.corrections),
    )


def too_biased_to_tell(revision: Revision, first: Revision) -> bool:
    """Whether the shares of a revision are held back: too few answers, or too biased to publish (E17)."""
    return bool(_bias(revision, first, strata_of(revision))[1])


def _bias(cells: Revision, first: Revision, strata: Strata) -> tuple[Weighted | None, Sequence[str]]:
    """The weighted share, and why the raw one is not told."""
    # A correction that may not tell its waves is as biased as those that were told first.
    total, waves = cells.total, waves_of(cells) or waves_of(first)
    weighted = post_stratified(strata.parts) if total.answers >= FEWEST else None
    contrast = waves.apart if waves else None
    return weighted, reasons_not_to_publish(
        total.satisfied, total.asked, fewest=FEWEST, weighted=weighted, contrast=contrast
    )


def waves_of(cells: Revision) -> Waves | None:
    """Early answers beside late ones; None where they are not counted, or one of them has too few."""
    cut = wave_cut({name for name, _ in cells.cells})
    days = cut and wave_days(cut)
    if not cut or not days:
        return None
    of = cells.of_cut(cut)
    early, late = (of[w].satisfied if w in of and of[w].answers >= FEWEST else None for w in (EARLY, LATE))
    if early is None or late is None or (apart := early_late((early.k, early.n), (late.k, late.n))) is None:
        return None
    return Waves(days, early, late, apart)
