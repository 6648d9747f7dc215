"""The method in detail, as the public page tells it: what is counted, who is asked, formulas, what is hidden. Pure."""

from dataclasses import dataclass
from typing import Final

from services.aggregator.figures.receipts import RECEIPTS_FROM
from services.aggregator.quality.complaints import FEWEST_COMPLAINTS
from services.aggregator.quality.revisions import FEWEST
from services.aggregator.quality.speech import Speech
from services.aggregator.statistics.response import FEWEST_IN_STRATUM, LOWEST_RATE, MOST_APART, MOST_UNEVEN

_DOI: Final = "https://doi.org/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is explained: in words, by a formula where there is one, with the source that it comes from."""

    name: str
    title: str
    text: str
    formula: str = ""
    source: str = ""
    address: str = ""


_ENTRIES: Final = (
    ("counted", "", "", ""),
    ("asked", "", "", ""),
    (
        *("share", "(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)"),
        *("Wilson 1927", f"{_DOI}10.1080/01621459.1927.10502953"),
    ),
    ("index", "100 (m − 1) / 4", "", ""),
    ("rates", "n / N", "", ""),
    ("bounds", "RR p … RR p + (1 − RR)", "Manski 1989", f"{_DOI}10.2307/145818"),
    ("weighted", "Σ Nₕ pₕ / Σ Nₕ", "Kish 1965, Survey Sampling", ""),
    ("biased", "", "", ""),
    ("complaints", "1000 k / N", "", ""),
    ("hidden", "", "", ""),
    ("corrected", "", "", ""),
)


def in_detail(say: Speech, tolerance_days: float) -> list[Entry]:
    """Every entry of the section, in the reader's language, with the limits that the figures are worked out by."""
    limits = {
        "fewest": FEWEST,
        "complaints": FEWEST_COMPLAINTS,
        "stratum": FEWEST_IN_STRATUM,
        "days": say.decimal(tolerance_days, 0),
        "receipts": say.percent(RECEIPTS_FROM, 0),
        "silent": say.percent(LOWEST_RATE, 0),
        "uneven": say.decimal(MOST_UNEVEN, 0),
        "apart": say.points(MOST_APART, 0),
    }
    return [
        Entry(name, say(f"method.{name}.title"), say(f"method.{name}", **limits), formula, source, address)
        for name, formula, source, address in _ENTRIES
    ]
