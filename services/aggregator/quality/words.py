"""What the public page says, in the language of its reader. Pure but for reading the catalogue of words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel.dates import format_date, format_datetime

from services.aggregator.calendar import month_of_day
from services.aggregator.figures.drawings import axis_of
from services.aggregator.figures.months import closes_at, month_name
from services.aggregator.figures.words import decimal, interval, month_in_words, percent, points, whole
from services.aggregator.quality.complaints import FEWEST_COMPLAINTS, Complaints
from services.aggregator.quality.figures import Index, Method, Quality
from services.aggregator.quality.notes import LANGUAGES
from services.aggregator.quality.pictures import axis_of_month, bounds, small, two_years
from services.aggregator.quality.publisher import Publisher, Shelf
from services.aggregator.quality.revisions import FEWEST
from services.aggregator.statistics import Share
from services.chassis.catalogues import read_catalogue

_HERE: Final = Path(__file__).parent
LANGUAGE_NAMES: Final = {"sv": "Svenska", "en": "English"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A share as the page writes it."""

    value: str
    sure: str
    n: str = ""


@cache
def words_of(language: str) -> Mapping[str, str]:
    """The page's words in a language."""
    return read_catalogue(_HERE / "locales", language, "quality")


@dataclass(frozen=True, slots=True)
class MonthInWords:
    """A month's figures, pictures and notes as the page's template fills them in."""

    quality: Quality
    publisher: Publisher
    shelf: Shelf
    language: str

    def say(self, key: str, **values: object) -> str:
        """A text in the page's language with its places filled."""
        return words_of(self.language)[key].format(**values)

    def told(self) -> dict[str, Any]:
        """Everything that the template asks for."""
        month = month_name(self.quality.month.number)
        heading = month_in_words(self.quality.month.number, self.language)
        return {
            "q": True,
            "title": self.say("title", month=heading),
            "heading": heading,
            "intro": self.say("intro", brand=self.publisher.brand),
            "alternate": f"/quality/{month}.json",
            "csv": f"/quality/{month}.csv",
            "languages": [(code, LANGUAGE_NAMES[code], f"/quality/{month}?lang={code}") for code in LANGUAGES],
            "months": self._neighbours(),
            "few": self._why_not(),
            "comment": self.publisher.notes.comments.get(self.quality.month.number, {}).get(self.language),
            "comment_title": self.say("comment.title", brand=self.publisher.brand),
            "care": [self.say(f"care.{reason}") for reason in self.quality.reasons if reason != "too_few"],
            "shield": self.say("shield.text", fewest=FEWEST),
            "as_of": self.say("as_of", day=self._moment(self.quality.month.shown.closed_at)),
            **self._figures(),
            **self._line(),
            **self._methods(),
            **self._known(),
            **self._complaints(),
            **self._revision(),
        }

    def _neighbours(self) -> list[tuple[str, str]]:
        here, closed = self.quality.month.number, self.shelf.closed
        links = []
        if before := [m for m in closed if m < here]:
            links.append((month_in_words(before[-1], self.language), self._address(before[-1])))
        if after := [m for m in closed if m > here]:
            links.append((month_in_words(after[0], self.language), self._address(after[0])))
        else:
            day = format_date(closes_at(here + 1, self.publisher.tolerance_days), "d MMM", locale=self.language)
            name = month_in_words(here + 1, self.language, "LLLL")
            links.append((self.say("next", month=name, day=day.rstrip(".")), ""))
        return [(text[:1].upper() + text[1:], address) for text, address in links]

    def _address(self, month: int) -> str:
        return f"/quality/{month_name(month)}?lang={self.language}"

    def _figures(self) -> dict[str, Any]:
        q, few = self.quality, self._why_not()
        asked = whole(q.month.shown.total.asked, self.language)
        return {
            "satisfied": self._share(q.satisfied),
            "satisfied_note": self._year_before(lambda y: y.satisfied) if q.satisfied else few,
            "dissatisfied": self._share(q.dissatisfied),
            "dissatisfied_note": self._year_before(lambda y: y.dissatisfied) if q.dissatisfied else few,
            "index": self._index(q.three or q.index),
            "index_note": self.say("three_questions" if q.three else "one_question") if q.index else few,
            "in_time": q.in_time
            and Shown(points(q.in_time.share, q.in_time.n, self.language), self.say("all_parcels")),
            "in_time_note": self._year_before(lambda y: y.in_time),
            "response": q.response
            and Shown(points(q.response.share, q.response.n, self.language), whole(q.response.k, self.language)),
            "response_note": self.say("of_asked", asked=asked) + self._of_delivered() if q.response else few,
        }

    def _why_not(self) -> str:
        return self.say("too_biased") if self.quality.too_biased else self.say("too_few", fewest=FEWEST)

    def _of_delivered(self) -> str:
        rate = self.quality.response_of_delivered
        return "; " + self.say("of_delivered", rate=percent(rate.share, rate.n, self.language)) if rate else ""

    def _share(self, share: Share | None) -> Shown | None:
        if share is None:
            return None
        value = points(share.share, share.n, self.language)
        return Shown(value, interval(share, self.language), whole(share.n, self.language))

    def _index(self, index: Index | None) -> Shown | None:
        if index is None:
            return None
        value, low, high = (decimal(x, 1, self.language) for x in (index.value, index.low, index.high))
        return Shown(value, f"{low}–{high}")

    def _year_before(self, figure: Callable[[Quality], Share | None]) -> str:
        then = self.quality.last_year and figure(self.quality.last_year)
        name = month_in_words(self.quality.month.number - 12, self.language, "LLL y")
        return f"{name}: {points(then.share, then.n, self.language) if then else '–'}"

    def _line(self) -> dict[str, Any]:
        q, notes = self.quality, self.publisher.notes
        first, last = (month_in_words(q.series[i][0], self.language) for i in (0, -1))
        value = percent(q.satisfied.share, q.satisfied.n, self.language) if q.satisfied else "–"
        breaks = {
            month: self.say("break", month=month_in_words(month, self.language), text=said[self.language])
            for month, said in notes.breaks.items()
        }
        changes = [(month_of_day(c.starts_on), c.what) for c in self.shelf.changes]
        label = self.say("line.label", first=first, last=last, value=value)
        start = decimal(100 * axis_of_month(q)[0], 0, self.language)
        return {
            "line": two_years(q, self.language, label=label, breaks=breaks, changes=changes),
            "line_about": self.say("line.about", start=start),
            "rows": [(month_in_words(m, self.language), self._share(s)) for m, s in reversed(q.series)],
        }

    def _methods(self) -> dict[str, Any]:
        q = self.quality
        if q.satisfied is None:
            return {"methods": [], "methods_about": ""}
        axis = axis_of(share for m in q.methods for share in (*m.series, q.satisfied))
        everything = points(q.satisfied.share, q.satisfied.n, self.language)
        return {
            "methods": [self._method(m, axis, q.satisfied.share) for m in q.methods],
            "methods_about": self.say("methods.about", value=everything),
        }

    def _method(self, method: Method, axis: tuple[float, float], everything: float) -> dict[str, Any]:
        shown = self._share(method.share)
        if shown is not None:
            note = self.say("methods.answers", n=shown.n)
        elif method.hidden_with:
            note = self.say("hidden_with", names=", ".join(map(self._name, method.hidden_with)))
        else:
            note = self.say("too_few", fewest=FEWEST)
        drawing = small(method, axis, everything)
        return {"name": self._name(method.value), "share": shown, "note": note, "drawing": drawing}

    def _name(self, method: str) -> str:
        return words_of(self.language).get(f"method.{method}", method.replace("_", " "))

    def _known(self) -> dict[str, Any]:
        q, language = self.quality, self.language
        if q.bounds is None or q.response is None:
            return {"known": "", "bounds": ""}
        n = q.month.shown.total.answers
        low, high = (percent(b, n, language) for b in q.bounds)
        silent = percent(1 - q.response.share, q.response.n, language)
        text = self.say("known.silent", silent=silent, low=low, high=high)
        weighted = ""
        if q.weighted is not None:
            text += " " + self.say("known.weighted", weighted=percent(q.weighted.share, n, language))
            weighted = self.say("known.of_all", value=points(q.weighted.share, n, language))
        if q.undisturbed is not None:
            text += " " + self.say("known.undisturbed", value=percent(q.undisturbed.share, q.undisturbed.n, language))
        text += self._waves()
        raw = self.say("known.raw", value=points(q.satisfied.share, n, language)) if q.satisfied else ""
        return {"known": text, "bounds": bounds(q, language, raw=raw, weighted=weighted)}

    def _waves(self) -> str:
        if (waves := self.quality.waves) is None:
            return ""
        n = min(waves.early.n, waves.late.n)
        value, low, high = (points(v, n, self.language) for v in waves.apart)
        return " " + self.say("known.waves", value=value, low=low, high=high)

    def _complaints(self) -> dict[str, Any]:
        told = self.shelf.complaints
        if told is None or not told.delivered or not (told.judged or told.waiting):
            return {"complaints": None, "complaints_note": self.say("complaints.none")}
        if told.judged < FEWEST_COMPLAINTS:
            return {"complaints": None, "complaints_note": self.say("complaints.few", fewest=FEWEST_COMPLAINTS)}
        rows = [(self.say(f"complaints.{c}"), self._rates(of, told)) for c, of in told.by_cause()]
        counts = {name: whole(getattr(told, name), self.language) for name in ("judged", "waiting")}
        return {
            "complaints": {
                "columns": [self.say(f"complaints.{a}") for a in told.attributions],
                "rows": rows,
                "total": self.say("complaints.all", value=self._rates([told.judged], told)[0]),
                "totals": self._rates(told.totals(), told),
            },
            "complaints_note": self.say("complaints.note", **counts),
        }

    def _rates(self, counts: Sequence[int], of: Complaints) -> list[str]:
        return [decimal(1000 * n / of.delivered, 2, self.language) for n in counts]

    def _revision(self) -> dict[str, Any]:
        month = self.quality.month
        texts = [self.say("revision.closed", day=self._day(month.first.closed_at))]
        before = month.first.total.satisfied
        for correction in month.corrections:
            after = correction.total.satisfied
            told = [s if s and s.n >= FEWEST and not self.quality.too_biased else None for s in (before, after)]
            said = [points(s.share, s.n, self.language) if s else "–" for s in told]
            day = self._day(correction.closed_at)
            texts.append(
                self.say("revision.corrected", day=day, reason=correction.reason, before=said[0], after=said[1])
            )
            before = after
        if month.waiting:
            texts.append(self.say("revision.waiting"))
        return {
            "revision_title": self.say("revision.title", number=month.shown.number),
            "revision": " ".join(texts),
        }

    def _day(self, at: datetime) -> str:
        return str(format_date(at, "d MMMM", locale=self.language))

    def _moment(self, at: datetime) -> str:
        return str(format_datetime(at, "d MMMM y, HH:mm", locale=self.language)) + " UTC"
