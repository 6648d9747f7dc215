"""Before and after an intervention, beside what happened to others; and when a month may be closed."""

from datetime import UTC, datetime

import pytest

from services.aggregator.figures.interventions import effect_of, split
from services.aggregator.figures.months import closes_at, month_name, month_number


def test_the_effect_is_the_change_beyond_that_of_the_others() -> None:
    effect = effect_of((48, 80), (56, 70), (60, 100), (70, 100))
    assert effect is not None
    # Newcombe's published 0.8 - 0.6 = 0.2 (0.0524, 0.3339); others 0.7 - 0.6 = 0.1 (-0.0314, 0.2260)
    assert effect.change == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert effect.usual_change == pytest.approx((0.1, -0.0321, 0.2276), abs=2e-3)
    # 0.1 - sqrt(0.1476² + 0.1276²), 0.1 + sqrt(0.1339² + 0.1321²)
    assert effect.effect == pytest.approx((0.1, -0.0951, 0.2881), abs=2e-3)
    assert not effect.sure


def test_a_large_change_where_others_stood_still_is_sure() -> None:
    effect = effect_of((600, 1000), (800, 1000), (6000, 10000), (6010, 10000))
    assert effect is not None
    assert effect.effect[0] == pytest.approx(0.199)
    assert effect.sure


def test_a_side_without_answers_has_no_effect() -> None:
    assert effect_of((1, 2), (1, 2), (0, 0), (1, 2)) is None


def test_the_comparison_group_is_all_others_or_those_named() -> None:
    rows = [
        {"value": "Luleå", "satisfied": 1, "answers": 2},
        {"value": "Årsta", "satisfied": 10, "answers": 20},
        {"value": "Kiruna", "satisfied": 100, "answers": 200},
    ]
    assert split(rows, "Luleå", ()) == ((1, 2), (110, 220))
    assert split(rows, "Luleå", ("Årsta",)) == ((1, 2), (10, 20))


@pytest.mark.parametrize(("name", "number"), [("1970-01", 0), ("2026-10", 681), ("2026-12", 683)])
def test_a_month_has_a_name_and_a_number(name: str, number: int) -> None:
    assert (month_number(name), month_name(number)) == (number, name)


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "26-10", "2026-10-01", ""])
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no month"):
        month_number(name)


def test_a_month_may_be_closed_when_its_late_answers_are_in() -> None:
    assert closes_at(681, 14) == datetime(2026, 11, 15, 12, tzinfo=UTC)
    assert closes_at(683, 0) == datetime(2027, 1, 1, 12, tzinfo=UTC)
