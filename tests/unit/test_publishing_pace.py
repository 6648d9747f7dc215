"""The pace of publishing, on a clock of its own: at once in quiet times, seldom while there is much to count."""

import pytest

from services.aggregator.publishing.pace import Pace

PACE = Pace(interval=0.25, behind=5, comparing=60)


@pytest.mark.parametrize(
    ("waiting", "first_due"),
    [(0, 0.25), (400, 0.25), (1_000, 0.5), (4_000, 2.0), (10_000, 5.0), (3_000_000, 5.0)],
)
def test_the_time_between_passes_grows_with_what_waits_up_to_a_limit(waiting: int, first_due: float) -> None:
    quarters = [n / 4 for n in range(100)]
    assert next(s for s in quarters if PACE.pass_is_due(s, waiting)) == first_due


def test_while_far_behind_two_minutes_have_24_passes_and_in_quiet_times_480() -> None:
    def passes(waiting: int) -> int:
        made, last = 0, 0.0
        for now in (n / 4 for n in range(1, 481)):
            if PACE.pass_is_due(now - last, waiting):
                made, last = made + 1, now
        return made

    assert (passes(0), passes(50_000)) == (480, 24)


def test_the_topic_is_compared_every_period_and_a_large_one_takes_a_twentieth_of_the_time() -> None:
    assert not PACE.comparison_is_due(60, took=0, waiting=0)
    assert PACE.comparison_is_due(61, took=0, waiting=0)
    assert not PACE.comparison_is_due(260, took=10, waiting=0)
    assert PACE.comparison_is_due(261, took=10, waiting=0)


def test_a_comparison_is_put_off_while_counting_is_behind_but_not_for_ever() -> None:
    assert not PACE.comparison_is_due(61, took=0, waiting=10_000)
    assert not PACE.comparison_is_due(600, took=0, waiting=10_000)
    assert PACE.comparison_is_due(601, took=0, waiting=10_000)
