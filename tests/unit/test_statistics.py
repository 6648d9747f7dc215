"""Shares, their intervals, and what stays hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.statistics import share_of, to_hide, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (1, 1, 0.2065, 1),
        (0, 5, 0, 0.4345),
        (9, 10, 0.5958, 0.9821),
        (18, 20, 0.6990, 0.9721),
        (80, 100, 0.7112, 0.8666),
        (450, 500, 0.8706, 0.9233),
    ],
)
def test_the_interval_of_a_share_is_wilsons(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_between_none_and_all(counted: tuple[int, int]) -> None:
    k, n = counted
    low, high = wilson(k, n)
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_share_and_its_opposite_mirror_each_other(counted: tuple[int, int]) -> None:
    k, n = counted
    low, high = wilson(k, n)
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_more_answers_make_the_interval_narrower() -> None:
    widths = [high - low for low, high in (wilson(8 * n, 10 * n) for n in (1, 10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_has_no_interval(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(k, n)
    assert share_of(k, n) is None


def test_nothing_is_hidden_where_every_sibling_has_enough_answers() -> None:
    assert to_hide([5, 700, 12], 5) == set()


def test_a_second_sibling_is_hidden_so_that_the_first_cannot_be_worked_out_from_the_total() -> None:
    assert to_hide([100, 3, 40, 9], 5) == {1, 3}


def test_hidden_siblings_are_together_at_least_what_one_would_need() -> None:
    assert to_hide([1, 2, 60, 50], 5) == {0, 1, 3}


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 20))
def test_no_count_that_is_too_small_can_be_seen_or_worked_out(answers: list[int], fewest: int) -> None:
    hidden = to_hide(answers, fewest)
    assert all(n >= fewest for i, n in enumerate(answers) if i not in hidden)
    if hidden and len(hidden) < len(answers):
        assert len(hidden) > 1
        assert sum(answers[i] for i in hidden) >= fewest
