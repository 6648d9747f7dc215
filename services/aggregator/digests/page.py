"""A digest as staff see it: the day's figures beside the days before, and who has taken care of it. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup

from schemas.satisfaction import SatisfactionAlert
from services.aggregator.digests.digest import Compared, Digest
from services.aggregator.figures import drawings
from services.aggregator.figures.drawings import axis_of
from services.aggregator.figures.further_words import FEW
from services.aggregator.figures.words import decimal, interval, percent, points, whole
from services.aggregator.staff.page import render
from services.aggregator.statistics import Share
from services.chassis.web import face

_LANGUAGE: Final = "en"


def page_of(told: Digest, now: datetime, *, form_secret: str | None = None) -> bytes:
    """The page; with a form secret it holds the form that says the digest is taken care of."""
    below = told.satisfied is not None and told.satisfied.verdict == "lower"
    above = told.dissatisfied is not None and told.dissatisfied.verdict == "higher"
    return render(
        "digest.html",
        d=told,
        day=_day(told.day),
        as_of=f"{now.astimezone(UTC):%H:%M:%S} UTC",
        few=FEW,
        figures=[
            _figure("Satisfied (4 or 5)", told.satisfied, loud=below),
            _figure("Dissatisfied (1 or 2)", told.dissatisfied, loud=above),
        ],
        mix=_mix(told),
        lately=_lately(told),
        counts=_counts(told),
        alerts=[_alert(a) for a in told.alerts],
        marked=[(i.what, _day(i.starts_on)) for i in told.interventions],
        care=_care(told),
        links=_links(told),
        form_secret=form_secret,
    )


def _figure(label: str, compared: Compared | None, *, loud: bool) -> dict[str, Any]:
    if compared is None:
        return {"label": label, "value": "", "note": "", "verdict": "", "drawing": Markup(""), "loud": False}
    share, usual = compared.day, compared.usual
    drawing = drawings.interval(share, axis_of([share, usual], 0.05), usual=usual.share if usual else None)
    note = f"{interval(share, _LANGUAGE)}, n {whole(share.n, _LANGUAGE)}."
    return {
        "label": label,
        "value": percent(share.share, share.n, _LANGUAGE),
        "note": note,
        "verdict": _verdict(compared.verdict, usual),
        "drawing": drawing,
        "loud": loud,
    }


def _verdict(verdict: str, usual: Share | None) -> str:
    if usual is None:
        return "Too few answers in the 28 days before"
    words = {"higher": "Above", "lower": "Below"}.get(verdict, "No difference from")
    return f"{words} the 28 days before, {points(usual.share, usual.n, _LANGUAGE)}"


def _mix(told: Digest) -> list[tuple[Markup, str]]:
    if told.scores is None:
        return []
    return [(face(score, 16), whole(count, _LANGUAGE)) for score, count in enumerate(told.scores, 1)]


def _lately(told: Digest) -> tuple[str, str] | None:
    if told.lately is None:
        return None
    share, low, high = (decimal(100 * x, 0, _LANGUAGE) for x in told.lately)
    return f"{share}\u00a0%", f"{low}–{high}"


def _counts(told: Digest) -> list[tuple[str, str]]:
    few = told.commented is None
    said = [("With a comment", told.commented), ("Say the parcel never came", told.contested)]
    known = [("Delivered", told.delivered), ("Asked", told.asked), *([] if few else said)]
    return [(name, whole(count or 0, _LANGUAGE)) for name, count in known]


def _alert(alert: SatisfactionAlert) -> str:
    expected = percent(alert.expected, alert.answers, _LANGUAGE)
    return f"{alert.dissatisfied} of {alert.answers} dissatisfied since {alert.since}, expected {expected}"


def _care(told: Digest) -> str:
    if told.taken_care is None:
        return ""
    who, note, at = told.taken_care["who"], told.taken_care["note"], told.taken_care["at"]
    return f"Taken care of by {who}, {_moment(at)}{f': {note}' if note else ''}"


def _links(told: Digest) -> Sequence[tuple[str, str]]:
    def of(day: date) -> str:
        return f"/digests?{urlencode({'cut': told.cut, 'value': told.value, 'day': day.isoformat()})}"

    one = timedelta(days=1)
    days = [("The day before", of(told.day - one)), ("The day after", of(told.day + one))]
    terminal = [(told.value, f"/terminals/{quote(told.value, safe='')}")] if told.cut == "terminal" else []
    return [*days, *terminal, ("As text", f"{of(told.day)}&format=text")]


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
