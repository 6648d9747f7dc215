"""What partners may see: enough changed respondents in every release, and a tombstone where too few are left."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from pydantic import ValidationError

from services.aggregator.partners.publication import (
    Atom,
    Attempt,
    Cell,
    Changed,
    Rules,
    Scores,
    attempts,
    cells,
    standing,
)
from services.aggregator.partners.views import is_held, is_settled, last_moment, window_of
from services.chassis.settings import Settings

OPEN = "2026-10"
HOME, SHOP, LOCKER = (Atom(OPEN, ("Fjällbod", way)) for way in ("home", "shop", "locker"))
SCORES = (5, 4, 5, 2, 5, 3, 5, 4, 1, 5)


def answers(number: int, unit: Atom = HOME, *, start: int = 0, days: int = 2) -> list[Changed]:
    """First answers of so many respondents, on so many delivery days, of a merchant each."""
    return [
        Changed(f"{unit.path}-{n}", unit, n % days, f"shop-{n}", None, SCORES[n % 10])
        for n in range(start, start + number)
    ]


def withdrawn(number: int, unit: Atom = HOME) -> list[Changed]:
    """The first so many of them do not count any more."""
    return [Changed(c.respondent, unit, c.day, c.merchant, c.new, None, unit) for c in answers(number, unit)]


def released(
    changed: Sequence[Changed],
    rules: Rules,
    shown: dict[Atom, Scores] | None = None,
    *,
    over: bool = False,
    held: Sequence[Atom] = (),
) -> list[Attempt]:
    found = attempts(changed, shown or {}, rules, is_over=lambda _: over, hold=lambda atom: atom in held)
    return [a for a in found if a.is_release]


@pytest.mark.parametrize(("number", "k", "seen"), [(4, 5, 0), (5, 5, 1), (9, 10, 0), (10, 10, 1), (49, 50, 0)])
def test_a_cell_is_released_from_k_changed_respondents_on(number: int, k: int, seen: int) -> None:
    assert len(released(answers(number), Rules(k))) == seen


@pytest.mark.parametrize(("k", "moved"), [(10, [(0, 0, 0, 4, 6)]), (11, [])])
def test_respondents_who_are_alike_count_as_many_as_they_are(k: int, moved: list[Scores]) -> None:
    alike = [
        Changed("1", HOME, 0, "shop", None, 5, people=6),
        Changed("2", HOME, 1, "shop", None, 4, people=4),
    ]
    assert [r.moved for r in released(alike, Rules(k))] == moved


@pytest.mark.parametrize(("others", "seen"), [(4, 0), (5, 1)])
def test_alike_respondents_of_one_merchant_leave_as_many_as_they_are_out_of_the_rest(others: int, seen: int) -> None:
    alike = [
        Changed(f"{merchant}-{score}", HOME, score % 2, merchant, None, score, people=people)
        for merchant, people in (("large", 20), ("b", 3), ("c", others - 3))
        for score in (4, 5)
    ]
    assert len(released(alike, Rules(10, merchants=3, beside={}))) == seen


def test_answers_that_are_already_out_do_not_make_up_for_few_changes() -> None:
    assert released(answers(9, start=100), Rules(10), {HOME: (100, 100, 100, 100, 100)}) == []


def test_all_of_one_delivery_day_are_withheld() -> None:
    assert released(answers(30, days=1), Rules(10)) == []


@pytest.mark.parametrize(("merchants", "seen"), [(2, 0), (3, 1)])
def test_a_cell_of_many_merchants_needs_three(merchants: int, seen: int) -> None:
    some = [Changed(str(n), HOME, n % 2, f"shop-{n % merchants}", None, SCORES[n]) for n in range(10)]
    assert len(released(some, Rules(10, merchants=3))) == seen


def test_a_cell_with_no_merchants_known_is_no_cell_of_three() -> None:
    some = [Changed(str(n), HOME, n % 2, None, None, SCORES[n]) for n in range(10)]
    assert released(some, Rules(10, merchants=3)) == []


def of_merchants(**numbers: int) -> list[Changed]:
    """First answers about deliveries of so many of each merchant, on two days, with different scores."""
    return [
        Changed(f"{merchant}-{n}", HOME, n % 2, merchant, None, SCORES[n % 10])
        for merchant, number in numbers.items()
        for n in range(number)
    ]


@pytest.mark.parametrize(("others", "seen"), [(1, 0), (4, 0), (5, 1)])
def test_a_cell_of_all_merchants_needs_k_respondents_beside_those_of_any_one(others: int, seen: int) -> None:
    some = of_merchants(large=48, b=others, c=5)
    assert len(released(some, Rules(10))) == 1
    assert len(released(some, Rules(10, merchants=3, beside={}))) == seen


@pytest.mark.parametrize(("others", "seen"), [(9, 0), (10, 1)])
def test_merchants_that_one_partner_is_shown_together_count_as_one(others: int, seen: int) -> None:
    some = of_merchants(a=24, b=24, c=others - 5, d=5)
    assert len(released(some, Rules(10, merchants=3, beside={}))) == 1
    assert len(released(some, Rules(10, merchants=3, beside={"a": "a", "b": "a"}))) == seen
    assert released(of_merchants(a=24, b=24, c=24), Rules(10, merchants=3, beside={"a": "a", "b": "a"})) == []


def test_what_is_left_without_one_merchant_may_not_tell_by_itself() -> None:
    rules, large = Rules(10, merchants=3, beside={}), of_merchants(large=20)
    same = [Changed(f"o-{n}", HOME, n % 2, f"shop-{n}", None, 5) for n in range(10)]
    one_day = [Changed(c.respondent, HOME, 0, c.merchant, None, c.new) for c in of_merchants(b=6, c=6)]
    assert released([*large, *same], rules) == []
    assert released([*large, *one_day], rules) == []
    assert len(released([*large, *same, *of_merchants(b=2)], rules)) == 1
    # Who is of no known merchant is in nobody's own view.
    unknown = [Changed(c.respondent, HOME, c.day, None, None, c.new) for c in of_merchants(u=10)]
    assert len(released([*large, *unknown, *of_merchants(b=1, c=1)], rules)) == 1


def test_a_fall_outside_one_merchant_waits_although_its_own_answers_outweigh_it() -> None:
    rules, shown = Rules(10, merchants=3, beside={}), {HOME: (9, 9, 9, 9, 9)}
    changed = [*of_merchants(large=20, b=8, c=8), Changed("old", HOME, 0, "d", 1, 5, HOME)]
    changed.append(Changed("gone", HOME, 0, "d", 1, None, HOME))
    assert len(released(changed, Rules(10), shown)) == 1
    assert released(changed, rules, shown) == []


def test_small_units_wait_while_their_window_lasts_and_are_grouped_when_it_is_over() -> None:
    few = [*answers(6, SHOP), *answers(5, LOCKER), *answers(12, HOME)]
    assert [r.atom for r in released(few, Rules(10))] == [HOME]
    grouped = Atom(OPEN, ("Fjällbod",), grouped=True)
    found = {r.atom: len(r.changed) for r in released(few, Rules(10), over=True)}
    assert found == {HOME: 12, grouped: 11}


def test_what_is_too_few_together_goes_on_to_the_next_unit_above() -> None:
    other = Atom(OPEN, ("Vinterhamn", "home"))
    few = [*answers(6, SHOP), *answers(5, other)]
    assert [(r.atom, len(r.changed)) for r in released(few, Rules(10), over=True)] == [
        (Atom(OPEN, (), grouped=True), 11)
    ]


def test_nothing_is_told_where_all_together_are_too_few() -> None:
    assert released([*answers(4, SHOP), *answers(5, LOCKER)], Rules(10), over=True) == []


def test_a_unit_that_is_large_enough_is_not_grouped_when_a_lot_or_its_scores_hold_it() -> None:
    same = [Changed(f"l-{n}", LOCKER, n % 2, "shop", None, 5) for n in range(30)]
    few = [*answers(40, HOME), *same, *answers(9, SHOP)]
    assert released(few, Rules(10), over=True, held=[HOME]) == []
    many = [*few, *answers(2, Atom(OPEN, ("Fjällbod", "box")), start=5)]
    assert [len(r.changed) for r in released(many, Rules(10), over=True, held=[HOME])] == [11]


def test_who_was_looked_at_in_vain_waits_until_enough_others_have_changed() -> None:
    waits = [replace(c, tried=True) for c in answers(12)]
    assert released([*waits, *answers(9, start=50)], Rules(10)) == []
    assert released([*waits, *answers(10, start=50, days=1)], Rules(10)) == []
    assert [len(r.changed) for r in released([*waits, *answers(10, start=50)], Rules(10))] == [22]


def test_in_a_view_of_all_merchants_the_others_are_enough_without_any_one() -> None:
    waits = [replace(c, tried=True) for c in of_merchants(large=20, b=10, c=10)]
    others = [replace(c, respondent=f"new {c.respondent}") for c in of_merchants(large=48, b=4, c=5)]
    rules = Rules(10, merchants=3, beside={})
    assert released([*waits, *others], rules) == []
    assert len(released([*waits, *others, Changed("x", HOME, 0, "c", None, 4)], rules)) == 1


def test_a_settled_window_is_looked_at_once_more_and_not_again() -> None:
    waits = [replace(c, tried=True) for c in answers(12)]
    assert released(waits, Rules(10)) == []
    assert [len(r.changed) for r in released(waits, Rules(10), over=True)] == [12]
    (held,) = attempts(waits, {}, Rules(10), is_over=lambda _: True, hold=lambda _: True)
    assert (held.is_release, held.is_last) == (False, True)
    last = [replace(c, tried_last=True) for c in waits]
    assert released([*last, *answers(9, start=50)], Rules(10), over=True) == []


def test_a_respondent_stays_in_the_cell_of_the_first_release() -> None:
    grouped = Atom(OPEN, ("Fjällbod",), grouped=True)
    moved = [Changed(c.respondent, c.unit, c.day, c.merchant, None, c.new, grouped) for c in answers(10, SHOP)]
    assert [r.atom for r in released(moved, Rules(10))] == [grouped]


def test_a_cell_is_held_by_lot_so_that_a_hold_says_nothing() -> None:
    assert released(answers(10), Rules(10), held=[HOME]) == []


def test_scores_that_are_all_the_same_are_withheld() -> None:
    same = [Changed(str(n), HOME, n % 2, "shop", None, 5) for n in range(10)]
    assert released(same, Rules(10)) == []
    assert len(released([*same, Changed("x", HOME, 0, "shop", None, 4)], Rules(10))) == 1


def test_a_score_that_becomes_rarer_waits_until_new_answers_outweigh_it() -> None:
    improved = Changed("old", HOME, 0, "shop", 2, 5, HOME)
    shown: dict[Atom, Scores] = {HOME: (3, 3, 3, 3, 3)}
    happy = [Changed(str(n), HOME, n % 2, "shop", None, 4 + n % 2) for n in range(12)]
    assert released([improved, *happy], Rules(10), shown) == []
    unhappy = Changed("new", HOME, 1, "shop", None, 2)
    assert released([improved, unhappy, *happy], Rules(10), shown)[0].moved == (0, 0, 0, 6, 7)


def test_a_cell_with_fewer_than_k_answers_left_gets_a_tombstone() -> None:
    (first,) = released(answers(10), Rules(5))
    shown = {HOME: first.moved}
    assert standing(shown, withdrawn(5), 5) == shown
    assert standing(shown, withdrawn(6), 5) == {}
    together = Changed("1", HOME, 0, "shop", 5, None, HOME, people=6)
    assert standing(shown, [together], 5) == {}
    # Newcomers that wait for their release are not shown, so they do not keep it.
    assert standing(shown, [*withdrawn(6), *answers(3, start=50)], 5) == {}


def test_totals_are_sums_of_what_is_visible_and_of_nothing_else() -> None:
    grouped = Atom(OPEN, ("Fjällbod",), grouped=True)
    found = cells({HOME: (1, 2, 3, 4, 5), grouped: (0, 1, 1, 4, 4)})
    assert found == {
        Cell(OPEN, 0, ""): (1, 3, 4, 8, 9),
        Cell(OPEN, 1, "Fjällbod"): (1, 3, 4, 8, 9),
        Cell(OPEN, 2, "home"): (1, 2, 3, 4, 5),
        Cell(OPEN, 2, "Fjällbod", grouped=True): (0, 1, 1, 4, 4),
    }


def test_moments_of_publication_are_fixed() -> None:
    now = datetime(2026, 10, 14, 2, 59, tzinfo=UTC)
    assert last_moment("day", now) == datetime(2026, 10, 13, 3, tzinfo=UTC)
    assert last_moment("week", now) == datetime(2026, 10, 12, 3, tzinfo=UTC)
    assert last_moment("month", now) == datetime(2026, 10, 1, 3, tzinfo=UTC)


def test_windows_do_not_overlap_and_are_settled_two_weeks_after_their_end() -> None:
    friday = (date(2026, 10, 9) - date(1970, 1, 1)).days
    assert window_of("month", friday) == "2026-10"
    assert window_of("week", friday) == "2026-10-05"
    for start, last_day in (("2026-10", date(2026, 11, 14)), ("2026-10-05", date(2026, 10, 25))):
        at = datetime.combine(last_day, time(3), UTC)
        assert not is_settled(start, at)
        assert is_settled(start, at + timedelta(days=1))


def test_a_lot_holds_one_cell_in_three_and_is_drawn_once() -> None:
    at = datetime(2026, 10, 14, 3, tzinfo=UTC)
    atoms = [Atom(OPEN, (f"unit-{n}",)) for n in range(1000)]
    drawn = [is_held(b"secret", at, atom) for atom in atoms]
    assert 283 < sum(drawn) < 383
    assert drawn == [is_held(b"secret", at, atom) for atom in atoms]
    assert drawn != [is_held(b"other", at, atom) for atom in atoms]


@pytest.mark.parametrize("low", [{"partner_k": 9}, {"public_k": 49}])
def test_no_setting_lowers_k_below_its_least(low: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Settings(**low)
