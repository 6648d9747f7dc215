"""What answers are weighed by for everybody: ways of delivery by region, as fine as it is counted. Pure (D6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.aggregator.counting.cuts import JOINT
from services.aggregator.quality.revisions import Counted, Revision
from services.aggregator.statistics.response import Key, Stratum

CUTS: Final = (
    "country.postcode_prefix.method",
    "postcode_prefix.method",
    "country.terminal.method",
    "terminal.method",
    "country.method",
)
"""Cuts that can be weighed by, the finest region first. Deliveries tell no kind of merchant."""
USUAL: Final = "terminal.method"
_ENOUGH: Final = 0.9
_UNKNOWN: Final = ("",)
"""The stratum of deliveries that lack what the others are told apart by."""


@dataclass(frozen=True, slots=True)
class Strata:
    """The strata of a month, and the cut that they come from; together they are all deliveries, or none are counted."""

    cut: str
    parts: Mapping[Key, Stratum]


def strata_of(cells: Revision) -> Strata:
    """The finest cut that names at least nine tenths of the deliveries, or else the usual one.

    A coarser region that nearly every delivery tells is better than a finer one that few do.
    """
    whole = _stratum(cells.total)
    found = {cut: _parts(cells.of_cut(cut)) for cut in CUTS}
    cut = next((c for c in CUTS if _covered(found[c]) >= _ENOUGH * whole.deliveries > 0), USUAL)
    if not found[cut]:
        return Strata(cut, {})
    rest = _rest(whole, [*found[cut].values()])
    return Strata(cut, {**found[cut], **({_UNKNOWN: rest} if rest.deliveries > 0 else {})})


def _parts(cells: Mapping[str, Counted]) -> dict[Key, Stratum]:
    # The way of delivery stands first: strata that are too small are joined within it.
    named = ((value.split(JOINT), counted) for value, counted in cells.items())
    return {(names[-1], *names[:-1]): _stratum(counted) for names, counted in named}


def _stratum(counted: Counted) -> Stratum:
    return Stratum(counted.delivered, counted.answers, counted.scores[3] + counted.scores[4])


def _covered(parts: Mapping[Key, Stratum]) -> int:
    return sum(s.deliveries for s in parts.values())


def _rest(whole: Stratum, parts: Sequence[Stratum]) -> Stratum:
    return Stratum(
        whole.deliveries - sum(s.deliveries for s in parts),
        whole.answers - sum(s.answers for s in parts),
        whole.satisfied - sum(s.satisfied for s in parts),
    )
