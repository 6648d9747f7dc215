"""What the live page shows of the counters: shares with intervals, terminals by concern, nothing of too few."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.aggregator.statistics import Share, share_of, to_hide
from services.aggregator.statistics.response import response_rates

FEWEST: Final = 5
"""Fewer answers than this are not shown to anybody inside (D9)."""
RECEIPTS_FROM: Final = 0.8
"""Answered of reached is told only where at least this share of the asked are known as reached: channels without
receipts tell of none, and the rate would look too high. The limit is ours."""
_DECIMALS: Final = 5
Cell = Mapping[str, Any]


def figures(total: Cell | None) -> dict[str, Any]:
    """The figures of everything together; `too_few` where there are some answers, but not enough."""
    answers = total["answers"] if total else 0
    if total is None or answers < FEWEST:
        return {"answers": None if answers else 0, "too_few": answers > 0, "fewest": FEWEST, **_shares(None)}
    return {
        "answers": answers,
        "too_few": False,
        "fewest": FEWEST,
        "distribution": [round(s / answers, _DECIMALS) for s in total["scores"]],
        **_shares(total),
    }


def kept_apart(total: Cell | None, series: Sequence[Cell]) -> dict[str, Any]:
    """How many answers each series holds that is kept apart (None: too few to tell), and the raw satisfied share.

    Raw are the counted answers with those of suspected machines. It is told only where both are enough, since the
    difference of two shares tells what the few said.
    """
    counts = {c["value"]: c["answers"] if c["answers"] >= FEWEST else None for c in series if c["answers"]}
    raw = None
    machine = next((c for c in series if c["value"] == "machine"), None)
    if total and machine and min(total["answers"], machine["answers"]) >= FEWEST:
        scores = [a + b for a, b in zip(total["scores"], machine["scores"], strict=True)]
        raw = as_json(_satisfied({"scores": scores, "answers": sum(scores)}))
    return {"answers": counts, "raw": raw}


def terminals(cells: Sequence[Cell], total: Cell | None) -> dict[str, Any]:
    """Terminals by concern (ascending upper bound, D5); those with too few answers by name only, and grouped."""
    hidden = to_hide([c["answers"] for c in cells], FEWEST)
    parent = _satisfied(total) if total else None
    shown = [_row(c, parent) for i, c in enumerate(cells) if i not in hidden]
    shown.sort(key=lambda row: (row["satisfied"]["high"], row["value"]))
    few = [cells[i] for i in sorted(hidden)]
    return {"shown": shown, "hidden": [_hidden(c) for c in few], "grouped": _grouped(few, parent)}


def _row(cell: Cell, parent: Share | None) -> dict[str, Any]:
    satisfied = _satisfied(cell)
    assert satisfied is not None
    return {
        "value": cell["value"],
        "answers": cell["answers"],
        "below": parent is not None and satisfied.high < parent.low,
        **_shares(cell),
    }


def _hidden(cell: Cell) -> dict[str, Any]:
    # Some have answers enough and are hidden only so that the others cannot be worked out.
    return {"value": cell["value"], "few": cell["answers"] < FEWEST}


def _grouped(few: Sequence[Cell], parent: Share | None) -> dict[str, Any] | None:
    together = [sum(c["scores"][i] for c in few) for i in range(5)]
    if sum(together) < FEWEST:
        return None
    whole = {"scores": together, "answers": sum(together), "asked": sum(c["asked"] for c in few)}
    return _row({"value": "", "delivered": sum(c["delivered"] for c in few), **whole}, parent)


def _shares(cell: Cell | None) -> dict[str, Any]:
    if cell is None:
        told = ("satisfied", "dissatisfied", "response", "response_of_reached", "response_of_delivered")
        return dict.fromkeys(told)
    answers = cell["answers"]
    # Answers can be counted a moment before the decisions they belong to; then there is no rate yet.
    reached = cell.get("reached", 0)
    known = reached >= RECEIPTS_FROM * cell["asked"]
    of_reached, of_delivered = response_rates(answers, reached if known else 0, cell["delivered"])
    return {
        "satisfied": as_json(_satisfied(cell)),
        "dissatisfied": as_json(share_of(cell["scores"][0] + cell["scores"][1], answers)),
        "response": as_json(share_of(answers, cell["asked"])),
        "response_of_reached": as_json(of_reached),
        "response_of_delivered": None if of_delivered is None else round(of_delivered.share, _DECIMALS),
    }


def _satisfied(cell: Cell) -> Share | None:
    return share_of(cell["scores"][3] + cell["scores"][4], cell["answers"])


def as_json(share: Share | None) -> dict[str, Any] | None:
    """A share as pages read it."""
    if share is None:
        return None
    low, high = round(share.low, _DECIMALS), round(share.high, _DECIMALS)
    return {"n": share.n, "share": round(share.share, _DECIMALS), "low": low, "high": high}
