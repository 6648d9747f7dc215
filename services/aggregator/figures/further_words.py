"""Figures beside the satisfied share in words, as the page of a terminal and digests show them. Pure."""

from collections.abc import Sequence
from typing import Final

from services.aggregator.figures.figures import FEWEST
from services.aggregator.figures.further import INDEX, RECOMMEND, Asked, Waves
from services.aggregator.figures.words import decimal, interval, percent, points, whole
from services.aggregator.statistics import Share

_LANGUAGE: Final = "en"
_LABELS: Final = {
    RECOMMEND: "Net promoter score, -100 to 100",
    INDEX: "Index of ACSI form, 0 to 100",
    "ease": "Ease, 1 to 5",
    "courtesy": "Courtesy, 1 to 5",
    "time_kept": "Promised time kept, 1 to 5",
    "expectation": "As expected, 1 to 5",
    "contactability": "Easy to reach, 1 to 5",
}
FEW: Final = f"Too few answers (fewer than {FEWEST})"
Row = tuple[str, str, str, str]
"""What is measured, the figure, its interval, and of how many answers; a row without interval says why."""


def further_rows(asked: Sequence[Asked], waves: Waves | None) -> list[Row]:
    """The rows of further questions and of early less late answers; none where nothing of it is known."""
    return [*map(_question, asked), *([] if waves is None else [_contrast(waves)])]


def lately_row(lately: Share | None) -> list[Row]:
    """The row of the last answers; none where they are all there are, or cannot be told."""
    if lately is None:
        return []
    n = whole(lately.n, _LANGUAGE)
    return [("Satisfied %, the last days", points(lately.share, lately.n, _LANGUAGE), interval(lately, _LANGUAGE), n)]


def silence_row(bounds: tuple[float, float] | None) -> list[Row]:
    """The row of what those who did not answer could change; none where it is not known."""
    if bounds is None:
        return []
    low, high = (decimal(100 * b, 0, _LANGUAGE) for b in bounds)
    return [("Satisfied %, whatever the silent think", f"{low}–{high}", "bounds, no estimate", "")]


def _question(asked: Asked) -> Row:
    label = _LABELS[asked.name]
    if asked.value is None or asked.answers is None:
        return label, "", "", FEW
    digits = 0 if asked.name == RECOMMEND else 1
    value, low, high = (decimal(v, digits, _LANGUAGE) for v in asked.value)
    n = whole(asked.answers, _LANGUAGE)
    if asked.easy is not None:
        n = f"{n}, {percent(asked.easy.share, asked.easy.n, _LANGUAGE)} found it easy"
    return label, value, f"{low} to {high}", n


def _contrast(waves: Waves) -> Row:
    label = "Satisfied % of early less late answers"
    if waves.apart is None or waves.early is None or waves.late is None:
        return label, "", "", FEW
    value, low, high = (decimal(100 * v, 0, _LANGUAGE) for v in waves.apart)
    n = f"{whole(waves.early, _LANGUAGE)} early, {whole(waves.late, _LANGUAGE)} late"
    return label, value, f"{low} to {high}", n
