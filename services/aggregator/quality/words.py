"""What the public page of a month says, in the language of its reader. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from services.aggregator.calendar import month_of_day
from services.aggregator.figures.drawings import axis_of
from services.aggregator.figures.months import closes_at, month_name
from services.aggregator.figures.receipts import RECEIPTS_FROM, Receipts
from services.aggregator.quality.complaints import FEWEST_COMPLAINTS, Complaints
from services.aggregator.quality.corrections import Correction, corrections_of
from services.aggregator.quality.figures import Method, Quality
from services.aggregator.quality.method import in_detail
from services.aggregator.quality.notes import LANGUAGES
from services.aggregator.quality.pictures import axis_of_month, bounds, small, two_years
from services.aggregator.quality.publisher import Publisher, Shelf
from services.aggregator.quality.revisions import FEWEST
from services.aggregator.quality.speech import LANGUAGE_NAMES, Shown, Speech
from services.aggregator.statistics import Share
from services.aggregator.statistics.shares import per_thousand


@dataclass(frozen=True, slots=True)
class MonthInWords:
    """A month's figures, pictures and notes as the page's template fills them in."""

    quality: Quality
    publisher: Publisher
    shelf: Shelf
    say: Speech

    def told(self) -> dict[str, Any]:
        """Everything that the template asks for."""
        month = month_name(self.quality.month.number)
        heading = self.say.month(self.quality.month.number)
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
            "comment": self.publisher.notes.comments.get(self.quality.month.number, {}).get(self.say.language),
            "comment_title": self.say("comment.title", brand=self.publisher.brand),
            "care": [self.say(f"care.{reason}") for reason in self.quality.reasons if reason != "too_few"],
            "shield": self.say("shield.text", fewest=FEWEST),
            "as_of": self.say("as_of", day=self.say.moment(self.quality.month.shown.closed_at)),
            **self._figures(),
            **self._line(),
            **self._methods(),
            **self._known(),
            **self._complaints(),
            **self._revision(),
            "method": in_detail(self.say, self.publisher.tolerance_days),
        }

    def _neighbours(self) -> list[tuple[str, str]]:
        here, closed = self.quality.month.number, self.shelf.closed
        links = []
        if before := [m for m in closed if m < here]:
            links.append((self.say.month(before[-1]), self._address(before[-1])))
        if after := [m for m in closed if m > here]:
            links.append((self.say.month(after[0]), self._address(after[0])))
        else:
            day = self.say.day(closes_at(here + 1, self.publisher.tolerance_days), "d MMM")
            name = self.say.month(here + 1, "LLLL")
            links.append((self.say("next", month=name, day=day.rstrip(".")), ""))
        return [(text[:1].upper() + text[1:], address) for text, address in links]

    def _address(self, month: int) -> str:
        return f"/quality/{month_name(month)}?lang={self.say.language}"

    def _figures(self) -> dict[str, Any]:
        q, few = self.quality, self._why_not()
        return {
            "satisfied": self.say.share(q.satisfied),
            "satisfied_note": self._year_before(lambda y: y.satisfied) if q.satisfied else few,
            "dissatisfied": self.say.share(q.dissatisfied),
            "dissatisfied_note": self._year_before(lambda y: y.dissatisfied) if q.dissatisfied else few,
            "index": self.say.index(q.three or q.index),
            "index_note": self.say("three_questions" if q.three else "one_question") if q.index else few,
            "in_time": q.in_time and Shown(self.say.points(q.in_time.share, q.in_time.n), self.say("all_parcels")),
            "in_time_note": self._year_before(lambda y: y.in_time),
            **self._response(),
        }

    def _response(self) -> dict[str, Any]:
        """Both rates: of delivered, and of reached where receipts tell of most; else of asked, which is said."""
        q = self.quality
        if (rate := q.response_of_reached or q.response) is None:
            return {"response": None, "response_note": self._why_not()}
        of = self.say.whole(rate.n)
        if rate is q.response_of_reached:
            note = self.say("of_reached", reached=of) + self._of_delivered()
        else:
            why = "receipts.none" if q.receipts is Receipts.NONE else "receipts.few"
            note = self.say("of_asked", asked=of) + self._of_delivered()
            note += ". " + self.say(why, least=self.say.percent(RECEIPTS_FROM, 0))
        return {"response": Shown(self.say.points(rate.share, rate.n), self.say.whole(rate.k)), "response_note": note}

    def _why_not(self) -> str:
        if self.quality.month.beside_partner:
            return self.say("beside_partner", fewest=FEWEST)
        return self.say("too_biased") if self.quality.too_biased else self.say("too_few", fewest=FEWEST)

    def _of_delivered(self) -> str:
        rate = self.quality.response_of_delivered
        return "; " + self.say("of_delivered", rate=self.say.percent(rate.share, rate.n)) if rate else ""

    def _year_before(self, figure: Callable[[Quality], Share | None]) -> str:
        then = self.quality.last_year and figure(self.quality.last_year)
        name = self.say.month(self.quality.month.number - 12, "LLL y")
        return f"{name}: {self.say.points(then.share, then.n) if then else '–'}"

    def _line(self) -> dict[str, Any]:
        q, notes = self.quality, self.publisher.notes
        first, last = (self.say.month(q.series[i][0]) for i in (0, -1))
        value = self.say.percent(q.satisfied.share, q.satisfied.n) if q.satisfied else "–"
        breaks = {
            month: self.say("break", month=self.say.month(month), text=said[self.say.language])
            for month, said in notes.breaks.items()
        }
        changes = [(month_of_day(c.starts_on), c.what) for c in self.shelf.changes]
        label = self.say("line.label", first=first, last=last, value=value)
        start = self.say.decimal(100 * axis_of_month(q)[0], 0)
        return {
            "line": two_years(q, self.say.language, label=label, breaks=breaks, changes=changes),
            "line_about": self.say("line.about", start=start),
            "rows": [(self.say.month(m), self.say.share(s)) for m, s in reversed(q.series)],
        }

    def _methods(self) -> dict[str, Any]:
        q = self.quality
        if q.satisfied is None:
            return {"methods": [], "methods_about": ""}
        axis = axis_of(share for m in q.methods for share in (*m.series, q.satisfied))
        everything = self.say.points(q.satisfied.share, q.satisfied.n)
        return {
            "methods": [self._method(m, axis, q.satisfied.share) for m in q.methods],
            "methods_about": self.say("methods.about", value=everything),
        }

    def _method(self, method: Method, axis: tuple[float, float], everything: float) -> dict[str, Any]:
        shown = self.say.share(method.share)
        if shown is not None:
            note = self.say("methods.answers", n=shown.n)
        elif not method.hidden:
            note = self.say("methods.none")
        elif method.hidden_with:
            note = self.say("hidden_with", names=", ".join(map(self.say.method, method.hidden_with)))
        else:
            note = self.say("too_few", fewest=FEWEST)
        drawing = small(method, axis, everything)
        return {"name": self.say.method(method.value), "share": shown, "note": note, "drawing": drawing}

    def _known(self) -> dict[str, Any]:
        q = self.quality
        if q.bounds is None or q.response is None:
            return {"known": "", "bounds": ""}
        n = q.month.shown.total.answers
        low, high = (self.say.percent(b, n) for b in q.bounds)
        silent = self.say.percent(1 - q.response.share, q.response.n)
        text = self.say("known.silent", silent=silent, low=low, high=high)
        weighted = ""
        if q.weighted is not None:
            by = self.say(f"weighted_by.{q.weighted_by}")
            text += " " + self.say("known.weighted", by=by, weighted=self.say.percent(q.weighted.share, n))
            weighted = self.say("known.of_all", value=self.say.points(q.weighted.share, n))
        if q.undisturbed is not None:
            text += " " + self.say("known.undisturbed", value=self.say.percent(q.undisturbed.share, q.undisturbed.n))
        text += self._waves()
        raw = self.say("known.raw", value=self.say.points(q.satisfied.share, n)) if q.satisfied else ""
        return {"known": text, "bounds": bounds(q, self.say.language, raw=raw, weighted=weighted)}

    def _waves(self) -> str:
        if (waves := self.quality.waves) is None:
            return ""
        n = min(waves.early.n, waves.late.n)
        value, low, high = (self.say.points(v, n) for v in waves.apart)
        return " " + self.say("known.waves", days=waves.days, value=value, low=low, high=high)

    def _complaints(self) -> dict[str, Any]:
        told = self.shelf.complaints
        if told is None or not told.delivered or not (told.judged or told.waiting):
            return {"complaints": None, "complaints_note": self.say("complaints.none")}
        if told.judged < FEWEST_COMPLAINTS:
            return {"complaints": None, "complaints_note": self.say("complaints.few", fewest=FEWEST_COMPLAINTS)}
        rows = [(self.say(f"complaints.{c}"), self._rates(of, told)) for c, of in told.by_cause()]
        counts = {name: self.say.whole(getattr(told, name)) for name in ("judged", "waiting")}
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
        return [self.say.decimal(per_thousand(n, of.delivered), 2) for n in counts]

    def _revision(self) -> dict[str, Any]:
        month = self.quality.month
        texts = [self.say("revision.closed", day=self.say.day(month.first.closed_at))]
        for c in corrections_of(month):
            before, after = (
                self.say.points(s.share, s.n) if s else "–" for s in (c.before.satisfied, c.after.satisfied)
            )
            day = self.say.day(c.closed_at)
            texts.append(self.say("revision.corrected", day=day, reason=c.reason, before=before, after=after))
        if month.waiting:
            texts.append(self.say("revision.waiting"))
        return {
            "revision_title": self.say("revision.title", number=month.shown.number),
            "revision": " ".join(texts),
            "corrections_about": self.say("corrections.about", fewest=FEWEST),
            "corrections": [self._correction(c) for c in self.shelf.corrections],
        }

    def _correction(self, correction: Correction) -> dict[str, Any]:
        """A row of the list of all corrections."""
        sides = (correction.before, correction.after)
        return {
            "month": self.say.month(correction.month),
            "address": self._address(correction.month),
            "revision": correction.revision,
            "closed_at": correction.closed_at.isoformat(),
            "day": self.say.day(correction.closed_at, "d MMMM y"),
            "reason": correction.reason,
            "satisfied": [self.say.share(told.satisfied) for told in sides],
            "answers": ["–" if told.answers is None else self.say.whole(told.answers) for told in sides],
        }
