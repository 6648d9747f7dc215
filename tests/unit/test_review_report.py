"""The report sees offers that follow the score, and is calm about those that do not."""

import random

import pytest

from services.survey.reviews.report import Stratum, Table, chi_squared, chi_squared_tail, judge

ONE = Stratum("default", "delivery.v1", 0.5)
OTHER = Stratum("bokladan", "delivery.v1", 0.1)


@pytest.mark.parametrize(
    ("freedom", "value", "tail"),
    # Critical values as printed in tables of the chi-squared distribution.
    [
        (1, 3.841, 0.05),
        (2, 5.991, 0.05),
        (3, 7.815, 0.05),
        (4, 9.488, 0.05),
        (5, 11.070, 0.05),
        (10, 18.307, 0.05),
        (1, 6.635, 0.01),
        (4, 13.277, 0.01),
        (4, 18.467, 0.001),
        (4, 0.711, 0.95),
        (30, 43.773, 0.05),
        (100, 124.342, 0.05),
        (1000, 1074.679, 0.05),
        (1000, 927.594, 0.95),
    ],
)
def test_tails_are_those_of_printed_tables(freedom: int, value: float, tail: float) -> None:
    assert chi_squared_tail(value, freedom) == pytest.approx(tail, abs=tail / 500)


def test_the_statistic_is_that_of_a_worked_example() -> None:
    # 2 x 2 with 20, 30 / 30, 20: every expected number is 25, so 4 * 25 / 25.
    assert chi_squared(((20, 30, 0, 0, 0), (30, 20, 0, 0, 0))) == (4.0, 1, 25.0)


def test_offers_to_the_content_only_are_found() -> None:
    gating: Table = ((40, 40, 30, 20, 20), (5, 5, 20, 90, 120))
    report = judge(390, 0, {ONE: gating})
    assert not report.sound
    assert report.lines()[-1].startswith("NOT SOUND: offers and scores go together")


def test_of_random_offers_one_in_twenty_looks_unlikely_and_half_look_likely() -> None:
    p_values = []
    for seed in range(400):
        dice = random.Random(seed)
        rows = [[0] * 5, [0] * 5]
        for _ in range(300):
            rows[dice.random() < 0.5][dice.choices(range(5), (5, 5, 10, 30, 50))[0]] += 1
        p_values.append(judge(300, 0, {ONE: (tuple(rows[0]), tuple(rows[1]))}).p_value or 0.0)
    assert 8 <= sum(p < 0.05 for p in p_values) <= 34
    assert 160 <= sum(p < 0.5 for p in p_values) <= 240


def test_proportional_offers_are_called_sound() -> None:
    report = judge(100, 0, {ONE: ((10, 10, 20, 40, 80), (10, 10, 20, 40, 80))})
    assert report.sound
    assert report.lines()[-1] == "sound: nothing says that the offer depends on the score (p = 1.0000)"


def test_merchants_with_other_shares_and_other_scores_do_not_look_like_gating() -> None:
    # Together: offers go with low scores. Within each merchant: exactly in proportion.
    strata = {ONE: ((100, 100, 50, 50, 20), (100, 100, 50, 50, 20)), OTHER: ((9, 9, 90, 180, 900), (1, 1, 10, 20, 100))}
    report = judge(2000, 0, strata)
    assert report.p_value == pytest.approx(1.0)
    assert judge(2000, 0, {ONE: report.table}).p_value == pytest.approx(0.0, abs=1e-6)


def test_offers_to_all_leave_nothing_to_compare() -> None:
    report = judge(30, 0, {ONE: ((0, 0, 0, 0, 0), (1, 2, 3, 4, 20))})
    assert (report.p_value, report.sound) == (None, True)
    assert "to all or to none" in report.lines()[-1]


def test_a_stored_offer_that_the_draw_does_not_give_is_no_accident() -> None:
    assert not judge(30, 1, {}).sound


def test_hundreds_of_merchants_with_shares_of_their_own_are_judged_too() -> None:
    strata = [Stratum(f"merchant {n}", "delivery.v1", 0.5) for n in range(300)]
    even: Table = ((10, 10, 10, 10, 10), (10, 10, 10, 10, 10))
    gating: Table = ((18, 10, 10, 10, 2), (2, 10, 10, 10, 18))
    assert judge(30_000, 0, dict.fromkeys(strata, even)).p_value == 1.0
    found = judge(30_000, 0, dict.fromkeys(strata, gating))
    assert not found.sound
    assert found.lines()[-1] == "NOT SOUND: offers and scores go together more than chance explains (p = 0.0000)"


def test_few_answers_are_said_to_be_few() -> None:
    report = judge(5, 0, {ONE: ((1, 0, 0, 0, 1), (0, 0, 0, 1, 2))})
    assert report.thin
    assert "rough" in report.lines()[-1]
