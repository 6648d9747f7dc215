"""Answers to further questions beside the counters of cells: how often each value was given, and what follows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.aggregator.figures.figures import DECIMALS, as_json
from services.aggregator.figures.further import QUESTIONS, Asked, asked_of
from services.aggregator.figures.said import Said

COLUMNS: Final = tuple(f"{name}{part}" for name in QUESTIONS for part in ("_answers", "", "_low", "_high"))
"""Of a CSV: for each question how many answered it, and its figure with its interval."""


def told_of(said: Said) -> dict[str, Any]:
    """Each question that was answered: `values` says how often each value was given; `figure` is null for too few."""
    figures = {asked.name: asked for asked in asked_of(said)}
    return {
        name: {
            "answers": sum(values.values()),
            "values": {str(value): values[value] for value in sorted(values)},
            "figure": _figure(figures.get(name)),
        }
        for name, values in sorted(said.items())
    }


def _figure(asked: Asked | None) -> dict[str, Any] | None:
    if asked is None or asked.value is None:
        return None
    value, low, high = (round(v, DECIMALS) for v in asked.value)
    easy = {} if asked.easy is None else {"easy": as_json(asked.easy)}
    return {"value": value, "low": low, "high": high, **easy}


def flat(said: Mapping[str, Any]) -> Sequence[object]:
    """What `told_of` told, in the order of the columns; empty where nobody answered, or too few for a figure."""
    row: list[object] = []
    for name in QUESTIONS:
        told = said.get(name, {})
        figure = told.get("figure") or {}
        row += [told.get("answers", 0), *(figure.get(part, "") for part in ("value", "low", "high"))]
    return row
