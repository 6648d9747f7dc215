"""What the live page shows of the counters of everything: shares with intervals, nothing of too few. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.aggregator.figures.receipts import both_rates
from services.aggregator.statistics import Share, share_of
from services.aggregator.statistics.scores import dissatisfied, satisfied

FEWEST: Final = 5
"""Fewer answers than this are not shown to anybody inside (D9)."""
DECIMALS: Final = 5
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
        "distribution": [round(s / answers, DECIMALS) for s in total["scores"]],
        **_shares(total),
    }


_SAID: Final = ("scores", "commented", "contested")


def counters(total: Cell | None) -> Cell | None:
    """The counters of everything as readers are told them: None in place of what fewer than FEWEST people said.

    That nobody answered is told, but not what those did who said that the parcel never came.
    """
    if total is None or total["answers"] >= FEWEST:
        return total
    somebody = total["answers"] or total["commented"] or total["contested"]
    hidden = dict.fromkeys(_SAID) if somebody else {}
    return {**total, **hidden, "answers": None if total["answers"] else 0}


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
        raw = as_json(satisfied(scores))
    return {"answers": counts, "raw": raw}


def _shares(cell: Cell | None) -> dict[str, Any]:
    if cell is None:
        told = ("satisfied", "dissatisfied", "response", "response_of_reached", "response_of_delivered")
        return dict.fromkeys(told)
    answers = cell["answers"]
    # Answers can be counted a moment before the decisions they belong to; then there is no rate yet.
    of_reached, of_delivered = both_rates(
        answers, cell.get("reached"), asked=cell["asked"], delivered=cell["delivered"]
    )
    return {
        "satisfied": as_json(satisfied(cell["scores"])),
        "dissatisfied": as_json(dissatisfied(cell["scores"])),
        "response": as_json(share_of(answers, cell["asked"])),
        "response_of_reached": as_json(of_reached),
        "response_of_delivered": None if of_delivered is None else round(of_delivered.share, DECIMALS),
    }


def as_json(share: Share | None) -> dict[str, Any] | None:
    """A share as pages read it."""
    if share is None:
        return None
    low, high = round(share.low, DECIMALS), round(share.high, DECIMALS)
    return {"n": share.n, "share": round(share.share, DECIMALS), "low": low, "high": high}
