"""Change detection: weights, limits and run lengths as published, alarms that are few and early enough."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.aggregator.figures.alerts import arranged, days_of_month, last_over, not_judged, watched_cuts
from services.aggregator.statistics import change
from services.aggregator.statistics.backtest import backtest
from services.aggregator.statistics.change import Charts, alarms, discoveries
from services.aggregator.statistics.run_lengths import days_until, ewma_run_length, normal_run_length
from services.chassis.failures import MustStop


@pytest.mark.parametrize(("expected", "up", "down"), [(0.05, 0.6444, -0.0488), (0.10, 0.5978, -0.0953)])
def test_the_weights_of_a_cusum_are_those_worked_out_by_hand(expected: float, up: float, down: float) -> None:
    assert [float(w) for w in change.cusum_weights(expected)] == pytest.approx([up, down], abs=5e-5)


def test_a_cusum_at_one_in_a_hundred_runs_as_long_as_the_table_says() -> None:
    # The table in BMJ Quality and Safety: limit 3.5, between 9,000 and 14,000 answers until a false alarm.
    assert 9_000 < change.cusum_run_length(0.01, 0.01) < 14_000


def test_the_limits_of_an_ewma_widen_to_their_lasting_width() -> None:
    # p 0.1, n 90: sigma = sqrt(0.09 / 90) = 0.0316228; first step 2.814 * 0.1 * sigma, in the end * sqrt(0.1 / 1.9)
    charts, reaches = Charts(np.array([0.1])), []
    for _ in range(500):
        charts.add(np.array([9]), np.array([90]))
        reaches.append(float(charts.reach()[0]))
    assert reaches[0] == pytest.approx(0.0088986, abs=1e-6)
    assert reaches[-1] == pytest.approx(0.0204148, abs=1e-6)


# Lucas and Saccucci's table: weight .1 and limits of 2.814, and weight .2 and limits of 2.962.
@pytest.mark.parametrize(
    ("shift", "width", "weight", "days"),
    [
        *[(0.0, 2.814, 0.1, 500), (0.25, 2.814, 0.1, 106), (0.5, 2.814, 0.1, 31.3), (0.75, 2.814, 0.1, 15.9)],
        *[(1.0, 2.814, 0.1, 10.3), (1.5, 2.814, 0.1, 6.09), (2.0, 2.814, 0.1, 4.36), (3.0, 2.814, 0.1, 2.87)],
        *[(0.0, 2.962, 0.2, 500), (0.5, 2.962, 0.2, 41.8), (1.0, 2.962, 0.2, 10.5), (0.0, 2.615, 0.05, 500)],
    ],
)
def test_an_ewma_runs_as_long_as_the_table_says(shift: float, width: float, weight: float, days: float) -> None:
    assert normal_run_length(shift, width, weight) == pytest.approx(days, rel=0.005)


def test_an_ewma_of_one_answer_a_day_signals_when_it_must() -> None:
    # All dissatisfied: the first day lies at 0.1 * 0.9 above .1, and its limit at 2.814 * 0.1 * 0.3 = 0.084.
    assert ewma_run_length(0.1, 1 - 1e-12, 1) == pytest.approx(1.0)


def test_a_limit_on_the_upper_side_that_widens_signals_later_without_cause_and_sooner_with_it() -> None:
    values, chances = np.linspace(-6, 6, 1201), np.exp(-(np.linspace(-6, 6, 1201) ** 2) / 2)
    chances /= chances.sum()
    upper = days_until(values, chances, widening=False)
    both = days_until(values, chances, widening=False, both_sides=True)
    assert upper == pytest.approx(2 * both, rel=0.02)  # either side is as likely
    assert days_until(values, chances) < upper


def test_the_rejected_hypotheses_are_those_of_the_published_example() -> None:
    # Benjamini and Hochberg (1995), section 3.2: 15 p-values, four are rejected at 0.05.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert discoveries(p, 0.05).tolist() == [True] * 4 + [False] * 11
    assert discoveries([0.9, 0.8], 0.05).tolist() == [False, False]
    assert discoveries([], 0.05).tolist() == []


def table(*rows: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array(rows, np.int64)


def test_a_unit_that_turns_worse_signals_once_and_says_since_when() -> None:
    answers = table([20] * 10, [20] * 10)
    dissatisfied = table([1] * 10, [1, 1, 1, 1, 1, 12, 1, 1, 1, 1])
    [alarm] = alarms(dissatisfied, answers, np.array([0.05, 0.05]), fewest=5)
    assert (alarm.unit, alarm.day, alarm.since, alarm.chart) == (1, 5, 5, "cusum")
    # twelve of twenty: 12 * 0.644357 - 8 * 0.048790; five days of one in twenty never lift it above 0
    assert alarm.statistic == pytest.approx(7.3420, abs=1e-3)


def test_what_comes_late_about_a_judged_day_raises_no_alarm_of_it_and_counts_with_the_next() -> None:
    answers, expected = table([20, 20, 20, 5]), np.array([0.05])
    # The worst day was judged before its twelve dissatisfied answers came: .644357 * 12 - 8 * .048790 = 7.34.
    late = table([1, 12, 1, 0])
    assert [a.day for a in alarms(late, answers, expected, fewest=5)] == [1]
    assert [(a.day, a.since) for a in alarms(late, answers, expected, fewest=5, first=2)] == [(2, 1)]
    assert alarms(late, answers, expected, fewest=5, first=4) == []


def test_a_chart_begins_anew_where_its_alarm_was_told_and_only_there() -> None:
    answers, dissatisfied = table([20, 20, 20], [20, 20, 20]), table([1, 12, 1], [1, 12, 1])
    told = np.array([[False, True, False], [False, False, False]])
    [alarm] = alarms(dissatisfied, answers, np.array([0.05, 0.05]), fewest=5, first=2, signalled=told)
    assert (alarm.unit, alarm.day, alarm.since) == (1, 2, 1)


def test_a_day_is_judged_when_it_is_over_in_every_zone() -> None:
    twentieth = 20746  # 20 October 2026
    assert last_over(datetime(2026, 10, 21, 11, 59, tzinfo=UTC)) == twentieth - 1
    assert last_over(datetime(2026, 10, 21, 12, tzinfo=UTC)) == twentieth
    assert last_over(datetime(2026, 10, 21, 13, 59, tzinfo=ZoneInfo("Europe/Stockholm"))) == twentieth - 1


@pytest.mark.parametrize(
    ("judged", "last", "days"),
    [
        (None, 20746, [(20727, 20746)]),  # nothing yet: October, from the 1st to the 20th
        (20745, 20746, [(20746, 20746)]),
        (20746, 20746, []),
        (20747, 20746, []),  # by a clock that ran ahead
        (20755, 20758, [(20756, 20757), (20758, 20758)]),  # 30 and 31 October, 1 November
        (20600, 20758, [(20727, 20757), (20758, 20758)]),  # nobody looked since May
    ],
)
def test_every_day_is_judged_once_also_where_nobody_looked_for_a_while(
    judged: int | None, last: int, days: list[tuple[int, int]]
) -> None:
    assert not_judged(judged, last) == days


def test_a_slow_change_is_found_by_the_smoothed_share() -> None:
    answers = table([200] * 28)
    dissatisfied = table([10] * 5 + [14] * 23)
    found = alarms(dissatisfied, answers, np.array([0.05]), fewest=5)
    assert found
    assert found[0].chart == "ewma"
    assert found[0].since == 5


def test_nothing_is_told_of_fewer_answers_than_may_be_shown() -> None:
    assert alarms(table([4]), table([4]), np.array([0.01]), fewest=5) == []
    assert len(alarms(table([5]), table([5]), np.array([0.01]), fewest=5)) == 1


def test_better_than_expected_is_no_alarm() -> None:
    assert alarms(table([0] * 30), table([300] * 30), np.array([0.2]), fewest=5) == []


def test_what_one_unit_alone_would_be_told_of_is_not_told_among_a_thousand() -> None:
    answers = np.full((1000, 1), 10, np.int64)
    dissatisfied = np.zeros((1000, 1), np.int64)
    dissatisfied[7] = 3
    # Three of ten or more at 0.05 happen in 0.0115 of all days: rare for one unit, common among a thousand.
    assert len(alarms(dissatisfied[7:8], answers[7:8], np.array([0.05]), fewest=5)) == 1
    assert alarms(dissatisfied, answers, np.full(1000, 0.05), fewest=5) == []
    # Seven of ten: 7e-8.
    dissatisfied[7] = 7
    assert [a.unit for a in alarms(dissatisfied, answers, np.full(1000, 0.05), fewest=5)] == [7]


def test_a_day_without_answers_changes_no_chart() -> None:
    with_pause, without = Charts(np.array([0.05])), Charts(np.array([0.05]))
    for k, n in ((3, 20), (0, 0), (4, 20)):
        with_pause.add(np.array([k]), np.array([n]))
        if n:
            without.add(np.array([k]), np.array([n]))
    assert with_pause._sum == without._sum
    assert with_pause._level == without._level


def test_simulated_shifts_are_told_as_early_and_as_rarely_falsely_as_designed() -> None:
    for check in backtest(1):
        if check.at_most:
            assert check.found <= check.design, check.name
        else:
            # 400 runs of a nearly exponential length: a standard error of 5 %
            assert check.found == pytest.approx(check.design, rel=0.16), check.name


def test_people_are_not_watched() -> None:
    assert watched_cuts("terminal, route,") == ("terminal", "route")
    with pytest.raises(MustStop, match="driver"):
        watched_cuts("terminal,driver")


def test_what_is_expected_comes_from_the_months_before_and_leans_on_all_units() -> None:
    first, last = days_of_month(681)  # October 2026
    assert last - first == 30
    reference = [
        {"value": "Luleå", "dissatisfied": 10, "answers": 100},
        {"value": "Årsta", "dissatisfied": 10, "answers": 100},
    ]
    day = {"value": "Kiruna", "index": first + 3, "dissatisfied": 2, "answers": 9}
    days = arranged(reference, [day], 681)
    assert days is not None
    assert days.units == ["Kiruna"]
    # (20 + 0.5) / (200 + 1) of all
    assert days.expected.tolist() == pytest.approx([0.101990], abs=1e-6)
    assert (int(days.dissatisfied[0, 3]), int(days.answers[0, 3]), int(days.answers.sum())) == (2, 9, 9)
    assert arranged([{"value": "Luleå", "dissatisfied": 1, "answers": 99}], [day], 681) is None
