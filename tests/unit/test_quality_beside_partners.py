"""A partner takes what it was shown off the public page, and is left with nothing of fewer than fifty people."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from services.aggregator.partners.publication import NOTHING, Atom, Changed, Rules, added, attempts
from services.aggregator.quality.documents import as_csv, document
from services.aggregator.quality.page import render
from services.aggregator.quality.readers import Reader
from services.aggregator.quality.revisions import Counted, Month, Revision, month_of
from tests.months import PUBLISHER, SEPTEMBER, SHELF, quality_in, two_years

ALL = Reader(None)
LARGE = Reader(frozenset({"large"}))
CLOSED_AFTER = (44, 52, 60)
"""Days from the beginning of the month to its closing and to each revision of it."""
BUSIEST = {("large", "home"): 40, ("large", "locker"): 12, ("b", "home"): 5, ("c", "home"): 3, ("b", "locker"): 1}
EVENLY = {(merchant, way): 8 for merchant in ("large", "b", "c") for way in ("home", "locker")}
"""At most so many answers a day, by merchant and way of delivery; for who sees all of them the latter."""
Answer = tuple[str, str, str, int]
"""Who, of which merchant, by which way of delivery, with which score."""
People = frozenset[Answer]


@dataclass(slots=True)
class Shown:
    """A partner: what was released to it, and every number that it was ever shown, as the people in it."""

    rules: Rules
    lot: random.Random
    released: set[Answer] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    seen: dict[str, set[People]] = field(default_factory=lambda: defaultdict(lambda: {frozenset()}))

    def moment(self, answers: Sequence[Answer], days: Mapping[str, int]) -> None:
        new = [
            Changed(a[0], Atom("2026-09", (a[2],)), days[a[0]], a[1], None, a[3], tried=a[0] in self.tried)
            for a in answers
            if a not in self.released
        ]
        shown = dict.fromkeys((Atom("2026-09", (way,)) for way in ("home", "locker")), NOTHING)
        for who in self.released:
            one, two, three, four, five = (int(n == who[3]) for n in range(1, 6))
            atom = Atom("2026-09", (who[2],))
            shown[atom] = added(shown[atom], (one, two, three, four, five))
        made = attempts(new, shown, self.rules, is_over=lambda _: False, hold=lambda _: self.lot.random() < 0.25)
        out = {c.respondent for a in made if a.is_release for c in a.changed}
        self.tried |= {c.respondent for a in made if not a.is_release for c in a.changed}
        self.released |= {a for a in answers if a[0] in out}
        for way in ("home", "locker"):
            self.seen[way].add(frozenset(a for a in self.released if a[2] == way))
        self.seen[""].add(frozenset(self.released))


def lived(seed: int, reader: Reader) -> tuple[Shown, list[tuple[Revision, list[Answer]]]]:
    """A month day by day: what the partner was shown, and the revisions with the answers behind them."""
    lot = random.Random(seed)
    beside = None if reader.merchants else dict[str, str]()
    partner = Shown(Rules(10, merchants=0 if reader.merchants else 2, beside=beside), lot)
    answers: list[Answer] = []
    days: dict[str, int] = {}
    closed: list[tuple[Revision, list[Answer]]] = []
    for day in range(max(CLOSED_AFTER) + 1):
        for (merchant, way), most in (BUSIEST if reader.merchants else EVENLY).items():
            # After the month few come, and fewer every day.
            for number in range(lot.randint(0, most) if day < 30 else lot.randint(0, most) * 6 // (day - 20)):
                who = f"{day}-{merchant}-{way}-{number}"
                days[who] = day
                answers.append((who, merchant, way, lot.choices((1, 2, 3, 4, 5), (6, 6, 10, 28, 50))[0]))
        theirs = [a for a in answers if reader.merchants is None or a[1] in reader.merchants]
        partner.moment(theirs, days)
        if day in CLOSED_AFTER:
            closed.append((a_revision(len(closed) + 1, answers), [*answers]))
    return partner, closed


def a_revision(number: int, answers: Sequence[Answer]) -> Revision:
    by: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 5)
    for _, merchant, way, score in answers:
        joint = f"{merchant} × {way}"
        for cell in (("total", ""), ("method", way), ("merchant", merchant), ("merchant.method", joint)):
            by[cell][score - 1] += 1
    cells = {cell: Counted(tuple(scores), 9000, 6000) for cell, scores in by.items()}
    return Revision(number, "closed", datetime(2026, 11, number, tzinfo=UTC), cells)


def told(closed: Sequence[tuple[Revision, list[Answer]]], readers: Sequence[Reader]) -> Iterator[dict[str, People]]:
    """The figures of each revision that the page showed at its time, as the people in them."""
    for last in range(1, len(closed) + 1):
        month = month_of(SEPTEMBER, [r for r, _ in closed[:last]], readers)
        if month.beside_partner or month.shown.number != last:
            continue
        behind = frozenset(closed[last - 1][1])
        ways = {way: frozenset(a for a in behind if a[2] == way) for way in ("home", "locker")}
        yield {"": behind, **{way: people for way, people in ways.items() if way not in month.hidden}}


def few_left(partner: Shown, page: Sequence[Mapping[str, People]]) -> int:
    """How many differences of figures, and of their corrections, and own numbers leave 1 to 49 people."""
    found = 0
    for way in ("", "home", "locker"):
        figures = [f[way] for f in page if way in f]
        moved = [b - a for a, b in itertools.combinations(figures, 2)]
        own = partner.seen[way]
        found += sum(0 < len(f ^ v) < 50 for f in figures for v in own)
        found += sum(0 < len(f ^ (w - v)) < 50 for f in moved if f for v in own for w in own if v <= w)
    return found


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("reader", [ALL, LARGE], ids=["all", "large"])
def test_no_difference_of_the_page_and_a_partners_numbers_leaves_few_people(reader: Reader, seed: int) -> None:
    partner, closed = lived(seed, reader)
    assert few_left(partner, [*told(closed, [reader])]) == 0


@pytest.mark.parametrize("reader", [ALL, LARGE], ids=["all", "large"])
def test_the_same_differences_leave_few_people_where_nobody_minds_the_partner(reader: Reader) -> None:
    assert sum(few_left(partner, [*told(closed, [])]) for partner, closed in (lived(s, reader) for s in range(2))) > 0


def test_the_page_goes_on_beside_a_merchant_who_leaves_enough_to_others() -> None:
    _, closed = lived(0, LARGE)
    assert [*told(closed, [LARGE])]


def test_beside_a_view_of_all_merchants_the_page_tells_no_answers_and_says_why() -> None:
    months = two_years()
    month = months[SEPTEMBER]
    months[SEPTEMBER] = month_of(SEPTEMBER, [month.first, *month.corrections], [ALL])
    found = quality_in(SEPTEMBER, months)
    said = document(found, None)
    assert (said["beside_partner"], said["revision"], said["corrections"], said["methods"]) == (True, 1, [], [])
    for name in ("satisfied", "dissatisfied", "index", "response", "bounds", "weighted", "undisturbed"):
        assert said[name] is None, name
    assert said["months"][-1] == {"month": "2026-09", "satisfied": None}
    assert said["in_time"]["share"] == 0.941
    assert "2026-09,all,satisfied,,,,," in as_csv(found, None)
    page = render(found, PUBLISHER, SHELF, "en")
    assert "Held back: partners read numbers of the same deliveries" in page
    assert not document(quality_in(SEPTEMBER - 1, months), None)["beside_partner"]


@pytest.mark.parametrize(("others", "told"), [(49, False), (50, True)])
def test_fifty_answers_must_be_left_without_a_partners_own(others: int, told: bool) -> None:
    month = closed_with({("large", "home"): 900, ("b", "home"): others})
    assert month.beside_partner is not told


def test_a_way_of_delivery_that_hardly_any_other_merchant_uses_is_hidden_with_a_second() -> None:
    by = {("large", "home"): 900, ("large", "locker"): 300, ("b", "home"): 80, ("b", "shop"): 90, ("c", "locker"): 9}
    assert closed_with(by).hidden == {"locker", "home"}
    assert closed_with(by, readers=[]).hidden == set()


@pytest.mark.parametrize(("others", "shown"), [(80, 1), (129, 1), (130, 2)])
def test_a_correction_waits_for_fifty_whom_the_partner_sees_nothing_of(others: int, shown: int) -> None:
    first = {("large", "home"): 900, ("b", "home"): 80}
    assert closed_with(first, {("large", "home"): 1000, ("b", "home"): others}).shown.number == shown


def test_a_partner_that_was_revoked_holds_back_only_the_months_that_it_was_shown() -> None:
    by = {("large", "home"): 900, ("b", "home"): 9}
    assert closed_with(by, readers=[Reader(LARGE.merchants, frozenset({SEPTEMBER}))]).beside_partner
    assert not closed_with(by, readers=[Reader(LARGE.merchants, frozenset({SEPTEMBER - 1}))]).beside_partner


def test_a_month_that_was_not_counted_by_merchant_is_held_back_beside_any_partner() -> None:
    revision = a_revision(1, [(str(n), "b", "home", 5) for n in range(200)])
    assert month_of(SEPTEMBER, [replace(revision, by_merchant=False)], [LARGE]).beside_partner
    assert not month_of(SEPTEMBER, [revision], [LARGE]).beside_partner


@pytest.mark.parametrize(("late", "told"), [(349, False), (350, True)])
def test_parts_that_are_not_counted_by_merchant_are_told_where_all_may_be_the_partners_own(
    late: int, told: bool
) -> None:
    revision = a_revision(1, [(str(n), "large" if n < 300 else "b", "home", 5) for n in range(1000)])
    waves = {("wave", "late"): late, ("wave", "early"): 1000 - late}
    parts = {cell: Counted((0, 0, 0, 0, n), n, n) for cell, n in waves.items()}
    month = month_of(SEPTEMBER, [replace(revision, cells={**revision.cells, **parts})], [LARGE])
    assert (quality_in(SEPTEMBER, {SEPTEMBER: month}).waves is not None) is told


def closed_with(*by: Mapping[tuple[str, str], int], readers: Sequence[Reader] = (LARGE,)) -> Month:
    revisions = [
        a_revision(i, [(f"{m}-{w}-{n}", m, w, 5) for (m, w), count in of.items() for n in range(count)])
        for i, of in enumerate(by, 1)
    ]
    return month_of(SEPTEMBER, revisions, readers)
