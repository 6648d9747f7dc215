"""The rows of the live page: units by concern, all worked out at once, four times a second. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.aggregator.figures.figures import DECIMALS, FEWEST, Cell
from services.aggregator.figures.receipts import RECEIPTS_FROM
from services.aggregator.figures.words import EXACT_FROM
from services.aggregator.statistics import Share, to_hide
from services.aggregator.statistics.scores import satisfied, shares_of_faces
from services.aggregator.statistics.shares import wilson_many
from services.aggregator.statistics.units import by_concern, fitted

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def rows_of(cut: str, cells: Sequence[Cell], total: Cell | None) -> dict[str, Any]:
    """Units by concern (ascending upper bound, D5); those with too few answers by name only, and grouped.

    Of those that nobody answered about there is nothing to hide, so they hide no other.

    Raises:
        ValueError: the cut names people, who are never ranked.
    """
    answered = [c for c in cells if c["answers"]]
    hidden = to_hide([c["answers"] for c in answered], FEWEST)
    parent = satisfied(total["scores"]) if total else None
    told = [c for i, c in enumerate(answered) if i not in hidden]
    few = [answered[i] for i in sorted(hidden)]
    faces = np.array([c["scores"] for c in told], np.int64).reshape(-1, 5)
    shares = shares_of_faces(faces)
    places = by_concern(cut, [c["value"] for c in told], shares[0])
    rows = _rows(told, *shares, parent)
    for row, count, better, worse, drawn in zip(
        rows, _satisfied(faces), places.surely_better, places.surely_worse, estimates(faces), strict=True
    ):
        row |= {"surely_better": better, "surely_worse": worse, "no_different": len(rows) - 1 - better - worse}
        # Of millions a rounded share does not tell how many answers came since the last look.
        row["satisfied_answers"] = count
        row["estimate"] = drawn
    return {
        "shown": [rows[i] for i in places.order],
        "hidden": [_hidden(c) for c in few],
        "grouped": _grouped(few, parent),
        "unanswered": [c["value"] for c in cells if not c["answers"]],
    }


def estimates(faces: Counts) -> list[float | None]:
    """For each unit of few answers its satisfied share drawn towards that of the units; None for larger ones.

    `faces` has a row of five bins for each unit that is shown. Hidden ones must not be among them: whoever knows what
    is shown could work them out from what it was drawn towards.
    """
    counted = list(zip(_satisfied(faces), faces.sum(axis=1).tolist(), strict=True))
    prior = fitted(counted) if len(counted) > 1 else None
    if prior is None:
        return [None] * len(counted)
    return [round(prior.shrunk(k, n), DECIMALS) if n < EXACT_FROM else None for k, n in counted]


def _satisfied(faces: Counts) -> list[int]:
    counts: list[int] = faces[:, 3:].sum(axis=1).tolist()
    return counts


def _rows(cells: Sequence[Cell], satisfied: Floats, dissatisfied: Floats, parent: Share | None) -> list[dict[str, Any]]:
    answers = _column(cells, "answers")
    below = satisfied[:, 2] < (parent.low if parent else 0.0)
    columns = (
        [c["value"] for c in cells],
        answers.tolist(),
        below.tolist(),
        _as_json(satisfied, answers),
        _as_json(dissatisfied, answers),
        *_rates(cells, answers),
    )
    return [dict(zip(_ROW, row, strict=True)) for row in zip(*columns, strict=True)]


_ROW: Final = (
    *("value", "answers", "below", "satisfied", "dissatisfied"),
    *("response", "response_of_reached", "response_of_delivered"),
)


def _rates(cells: Sequence[Cell], answers: Counts) -> Iterator[list[dict[str, Any] | None]]:
    """Answered of asked; of reached, where receipts tell of most of the asked; of delivered."""
    asked, reached = _column(cells, "asked"), _column(cells, "reached")
    known = np.where(reached >= RECEIPTS_FROM * asked, reached, 0)
    for of in (asked, known, _column(cells, "delivered")):
        # Answers can be counted a moment before the decisions they belong to; then there is no rate yet.
        yield _as_json(wilson_many(answers, np.where(answers <= of, of, 0)), of)


def _column(cells: Sequence[Cell], name: str) -> Counts:
    return np.array([c.get(name, 0) for c in cells], np.int64)


def _as_json(shares: Floats, of: Counts) -> list[dict[str, Any] | None]:
    known = np.isfinite(shares[:, 0]).tolist()
    rounded = np.round(shares, DECIMALS).tolist()
    return [
        {"n": n, "share": share, "low": low, "high": high} if is_known else None
        for is_known, n, (share, low, high) in zip(known, of.tolist(), rounded, strict=True)
    ]


def _hidden(cell: Cell) -> dict[str, Any]:
    # Some have answers enough and are hidden only so that the others cannot be worked out.
    return {"value": cell["value"], "few": cell["answers"] < FEWEST}


def _grouped(few: Sequence[Cell], parent: Share | None) -> dict[str, Any] | None:
    together = np.array([c["scores"] for c in few], np.int64).reshape(-1, 5).sum(axis=0)
    answers = int(together.sum())
    if answers < FEWEST:
        return None
    counts = {name: sum(c.get(name, 0) for c in few) for name in ("asked", "reached", "delivered")}
    whole = {"value": "", "answers": answers, **counts}
    [row] = _rows([whole], *shares_of_faces(together[None, :]), parent)
    return row
