"""The figures of a month for programs, as JSON and CSV. Pure. What the page hides is in neither."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from services.aggregator.figures.months import month_name
from services.aggregator.figures.receipts import Receipts
from services.aggregator.quality.complaints import Complaints
from services.aggregator.quality.corrections import Correction
from services.aggregator.quality.figures import Index, Quality
from services.aggregator.quality.revisions import FEWEST
from services.aggregator.quality.weighed import Waves
from services.aggregator.statistics import Share

_HEAD: Final = ("month", "group", "figure", "value", "low", "high", "n", "note")
_SHARES: Final = ("satisfied", "dissatisfied", "undisturbed", "in_time", "response", "response_of_delivered")


def document(quality: Quality, complaints: Complaints | None, corrections: Sequence[Correction] = ()) -> dict[str, Any]:
    """The figures of a month for programs. What the page hides is not in it."""
    q = quality
    return {
        "month": month_name(q.month.number),
        "revision": q.month.shown.number,
        "closed_at": q.month.shown.closed_at.isoformat(),
        "zone_data": q.month.shown.zone_data,
        "corrections": [
            {"revision": r.number, "closed_at": r.closed_at.isoformat(), "reason": r.reason}
            for r in q.month.corrections
        ],
        "fewest": FEWEST,
        "too_few": q.too_few,
        "too_biased": q.too_biased,
        "beside_partner": q.month.beside_partner,
        "satisfied": _plain(q.satisfied),
        "dissatisfied": _plain(q.dissatisfied),
        "index": _index(q.index),
        "index_of_three_questions": _index(q.three),
        "in_time": _plain(q.in_time),
        "response": _plain(q.response),
        "response_of_reached": _plain(q.response_of_reached),
        "response_of_delivered": _plain(q.response_of_delivered),
        "receipts": q.receipts,
        "bounds": q.bounds and [round(b, 5) for b in q.bounds],
        "weighted": _weighted(q),
        "undisturbed": _plain(q.undisturbed),
        "early_less_late": q.waves and _waves(q.waves),
        "read_with_care": [r for r in q.reasons if r != "too_few"],
        "months": [{"month": month_name(m), "satisfied": _plain(s)} for m, s in q.series],
        "methods": [{"method": m.value, "satisfied": _plain(m.share)} for m in q.methods],
        "complaints": complaints.document() if complaints else None,
        "all_corrections": [_correction(c) for c in corrections],
    }


def _correction(correction: Correction) -> dict[str, Any]:
    c = correction
    return {
        "month": month_name(c.month),
        "revision": c.revision,
        "closed_at": c.closed_at.isoformat(),
        "reason": c.reason,
        **{
            side: {"answers": told.answers, "satisfied": _plain(told.satisfied)}
            for side, told in (("before", c.before), ("after", c.after))
        },
    }


def _index(index: Index | None) -> dict[str, float] | None:
    return {n: round(getattr(index, n), 2) for n in ("value", "low", "high")} if index else None


def _weighted(q: Quality) -> dict[str, Any] | None:
    if q.weighted is None:
        return None
    told = {n: round(getattr(q.weighted, n), 5) for n in ("share", "low", "high", "design_effect")}
    return {**told, "by": q.weighted_by.split("."), "strata": len(q.weighted.strata)}


def _waves(waves: Waves) -> dict[str, Any]:
    value, low, high = (round(v, 5) for v in waves.apart)
    sides = {"days": waves.days, "early": _plain(waves.early), "late": _plain(waves.late)}
    return {"value": value, "low": low, "high": high, **sides}


def _plain(share: Share | None) -> dict[str, Any] | None:
    if share is None:
        return None
    return {"n": share.n, **{name: round(getattr(share, name), 5) for name in ("share", "low", "high")}}


def as_csv(quality: Quality, complaints: Complaints | None) -> str:
    """The same figures as rows (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEAD)
    writer.writerows(_rows(quality, complaints))
    return out.getvalue()


def _rows(quality: Quality, complaints: Complaints | None) -> Iterator[tuple[object, ...]]:
    month = month_name(quality.month.number)
    for name in _SHARES:
        yield _row(month, "all", name, getattr(quality, name))
    # An empty rate alone would not say whether it is hidden or not known.
    unknown = quality.response is not None and quality.response_of_reached is None
    note = ("no receipts" if quality.receipts is Receipts.NONE else "too few receipts") if unknown else ""
    yield *_row(month, "all", "response_of_reached", quality.response_of_reached)[:-1], note
    for name, index in (("index", quality.index), ("index_of_three_questions", quality.three)):
        yield month, "all", name, *((_index(index) or {}).get(n, "") for n in ("value", "low", "high")), "", ""
    for method in quality.methods:
        yield _row(month, method.value, "satisfied", method.share)
    for number, share in quality.series[:-1]:
        yield _row(month_name(number), "all", "satisfied", share)
    for cause, attribution, rate in complaints.rows() if complaints else ():
        yield month, cause, f"complaints {attribution}", rate, "", "", "", ""


def _row(month: str, group: str, figure: str, share: Share | None) -> tuple[object, ...]:
    if share is None:
        return month, group, figure, "", "", "", "", ""
    return month, group, figure, *(round(x, 5) for x in (share.share, share.low, share.high)), share.n, ""
