"""What the live page's feed says of the counters."""

import json
from typing import Any

import pytest

from services.aggregator.counting.freshness import Freshness
from services.aggregator.figures.figures import figures, kept_apart
from services.aggregator.figures.rows import rows_of
from services.aggregator.live.line import Line


def cell(value: str, *scores: int, asked: int = 1000, delivered: int = 2000) -> dict[str, Any]:
    return {
        "value": value,
        "scores": list(scores),
        "answers": sum(scores),
        "asked": asked,
        "delivered": delivered,
    }


def test_no_answers_is_not_zero_per_cent() -> None:
    for nothing in (None, cell("", 0, 0, 0, 0, 0)):
        empty = figures(nothing)
        assert empty["satisfied"] is None
        assert empty["answers"] == 0
        assert not empty["too_few"]


@pytest.mark.parametrize(
    ("total", "machine", "told"),
    [
        ((0, 0, 0, 0, 9), (1, 0, 0, 0, 0), {"answers": {"machine": None}, "raw": None}),
        ((0, 0, 0, 0, 4), (6, 0, 0, 0, 0), {"answers": {"machine": 6}, "raw": None}),
        ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), {"answers": {}, "raw": None}),
    ],
)
def test_few_answers_that_are_kept_apart_cannot_be_worked_out(
    total: tuple[int, ...], machine: tuple[int, ...], told: dict[str, Any]
) -> None:
    assert kept_apart(cell("", *total), [cell("machine", *machine)]) == told


def test_the_raw_share_adds_what_machines_said_and_nothing_of_other_series() -> None:
    series = [cell("machine", 6, 0, 0, 0, 0), cell("uninvited", 0, 0, 0, 0, 50)]
    told = kept_apart(cell("", 0, 0, 0, 4, 10), series)
    assert told["answers"] == {"machine": 6, "uninvited": 50}
    assert (told["raw"]["n"], told["raw"]["share"]) == (20, 0.7)


def test_few_answers_leave_no_trace_of_their_values() -> None:
    few = figures(cell("", 0, 0, 0, 1, 3))
    assert few["too_few"]
    assert few["answers"] is None
    assert few["satisfied"] is None
    assert "distribution" not in few


def test_figures_say_share_interval_and_number_together() -> None:
    shown = figures(cell("", 10, 10, 0, 30, 50))
    assert shown["satisfied"] == pytest.approx({"n": 100, "share": 0.8, "low": 0.71117, "high": 0.86663})
    assert shown["dissatisfied"]["share"] == 0.2
    assert shown["response"]["share"] == 0.1
    assert shown["response_of_delivered"] == 0.05
    assert shown["distribution"] == [0.1, 0.1, 0, 0.3, 0.5]


@pytest.mark.parametrize(("reached", "rate"), [(0, None), (799, None), (800, 0.125), (1000, 0.1)])
def test_answered_of_reached_is_told_where_receipts_tell_of_most_of_the_asked(reached: int, rate: float | None) -> None:
    found = figures(cell("", 10, 10, 0, 30, 50) | {"reached": reached})["response_of_reached"]
    assert (found and found["share"]) == rate


def test_there_is_no_response_rate_while_decisions_lag_behind_answers() -> None:
    assert figures(cell("", 0, 0, 0, 0, 9, asked=4))["response"] is None


def test_terminals_stand_by_concern_with_the_lowest_upper_bound_first() -> None:
    # One bad answer in five is no reason to stand before a hundred bad ones in five hundred.
    units = [cell("few", 1, 0, 0, 0, 4), cell("bad", 100, 0, 0, 0, 400), cell("good", 1, 0, 0, 0, 999)]
    shown = rows_of("terminal", units, cell("", 102, 0, 0, 0, 1403))["shown"]
    assert [row["value"] for row in shown] == ["bad", "few", "good"]
    assert [row["below"] for row in shown] == [True, False, False]


def test_each_row_says_how_many_others_are_surely_better_and_surely_worse() -> None:
    # Wilson: Luleå 0.870 to 0.923, Årsta 0.377 to 0.623, Kiruna 0.376 to 0.964, which overlaps both
    units = [cell("Luleå", 50, 0, 0, 0, 450), cell("Kiruna", 1, 0, 0, 0, 4), cell("Årsta", 30, 0, 0, 0, 30)]
    shown = rows_of("terminal", units, cell("", 81, 0, 0, 0, 484))["shown"]
    assert [(r["value"], r["surely_better"], r["surely_worse"], r["no_different"]) for r in shown] == [
        ("Årsta", 1, 0, 1),
        ("Luleå", 0, 1, 1),
        ("Kiruna", 0, 0, 2),
    ]


def test_drivers_are_never_rows() -> None:
    with pytest.raises(ValueError, match="never ranked"):
        rows_of("terminal.driver", [], None)


def test_rows_say_share_interval_and_number_together() -> None:
    units = [cell("Luleå", 10, 10, 0, 30, 50), cell("Umeå", 0, 0, 0, 0, 9, asked=4)]
    told = {row["value"]: row for row in rows_of("terminal", units, None)["shown"]}
    row = told["Luleå"]
    assert row["satisfied"] == pytest.approx({"n": 100, "share": 0.8, "low": 0.71117, "high": 0.86663})
    assert (row["dissatisfied"]["share"], row["response"]["share"], row["response"]["n"]) == (0.2, 0.1, 1000)
    assert (row["below"], told["Umeå"]["response"]) == (False, None)
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(("reached", "rate"), [(0, None), (799, None), (800, 0.125), (99, None)])
def test_rows_tell_both_response_rates_where_receipts_tell_of_most_of_their_asked(
    reached: int, rate: float | None
) -> None:
    units = [cell("Luleå", 10, 10, 0, 30, 50) | {"reached": reached}, cell("Umeå", 0, 0, 0, 0, 9, asked=4)]
    told = {row["value"]: row for row in rows_of("terminal", units, None)["shown"]}
    assert (told["Luleå"]["response_of_reached"] or {}).get("share") == rate
    # Wilson of 100 in 2,000
    expected = {"n": 2000, "share": 0.05, "low": 0.04128, "high": 0.06044}
    assert told["Luleå"]["response_of_delivered"] == pytest.approx(expected)
    assert told["Umeå"]["response_of_reached"] is None


def test_the_rates_of_a_hidden_row_are_told_only_of_all_hidden_ones_together() -> None:
    units = [cell("tiny", 0, 0, 0, 0, 2), cell("small", 1, 0, 0, 0, 8), cell("large", 50, 0, 0, 0, 450)]
    told = rows_of("terminal", [u | {"reached": 900} for u in units], None)
    assert [row["value"] for row in told["shown"]] == ["large"]
    assert [row.keys() for row in told["hidden"]] == [{"value", "few"}] * 2
    grouped = told["grouped"]
    assert (grouped["response_of_reached"]["n"], grouped["response_of_delivered"]["n"]) == (1800, 4000)


def estimates_of(*units: dict[str, Any]) -> dict[str, float | None]:
    return {row["value"]: row["estimate"] for row in rows_of("terminal", units, None)["shown"]}


def test_a_unit_of_few_answers_has_its_share_drawn_towards_that_of_all_units() -> None:
    # mean (5 + 450 + 0.5) / 511; the units differ, so the strength is 1: (5 + 0.89139) / 11
    told = estimates_of(cell("Kiruna", 5, 0, 0, 0, 5), cell("Luleå", 50, 0, 0, 0, 450))
    assert told == {"Kiruna": pytest.approx(0.53558, abs=1e-5), "Luleå": None}
    # Alike units have the strength of all 50 answers: (8 + 50 * 40.5 / 51) / 60
    alike = estimates_of(*[cell(f"T{n}", 2, 0, 0, 0, 8) for n in range(5)])
    assert list(alike.values()) == pytest.approx([0.7951] * 5, abs=1e-5)


@pytest.mark.parametrize(("answers", "told"), [(99, True), (100, False)])
def test_from_a_hundred_answers_on_a_unit_stands_for_itself(answers: int, told: bool) -> None:
    units = [cell("Kiruna", 9, 0, 0, 0, answers - 9), cell("Luleå", 50, 0, 0, 0, 450)]
    assert (estimates_of(*units)["Kiruna"] is not None) is told


def test_a_unit_alone_is_drawn_nowhere() -> None:
    assert estimates_of(cell("Kiruna", 5, 0, 0, 0, 5)) == {"Kiruna": None}
    assert estimates_of() == {}


def test_an_estimate_does_not_move_with_what_hidden_units_answered_and_hidden_ones_have_none() -> None:
    shown = [cell("Kiruna", 5, 0, 0, 0, 5), cell("Luleå", 50, 0, 0, 0, 450)]
    few = [
        (cell("tiny", 0, 0, 0, 0, 4), cell("small", 0, 0, 0, 0, 9)),
        (cell("tiny", 2, 0, 0, 0, 0), cell("small", 6, 0, 0, 0, 0)),
    ]
    told = [rows_of("terminal", [*shown, *hidden], None) for hidden in few]
    assert [[r["value"] for r in t["hidden"]] for t in told] == [["tiny", "small"]] * 2
    assert [{r["value"]: r["estimate"] for r in t["shown"]} for t in told] == [estimates_of(*shown)] * 2
    assert all("estimate" not in row for t in told for row in (*t["hidden"], t["grouped"]))


def test_terminals_with_too_few_answers_are_only_named_and_counted_together() -> None:
    units = [cell("tiny", 0, 0, 0, 0, 2), cell("small", 1, 0, 0, 0, 8), cell("large", 50, 0, 0, 0, 450)]
    told = rows_of("terminal", units, cell("", 51, 0, 0, 0, 460))
    assert [row["value"] for row in told["shown"]] == ["large"]
    assert told["hidden"] == [{"value": "tiny", "few": True}, {"value": "small", "few": False}]
    assert told["grouped"]["answers"] == 11
    assert "tiny" not in json.dumps([told["shown"], told["grouped"]])


def test_the_line_follows_a_fall_out_of_the_band_and_keeps_four_minutes() -> None:
    line = Line(window=2.0)
    satisfied = answers = 0
    for second in range(0, 600, 2):
        answers += 50
        satisfied += 20 if second >= 580 else 45
        line.add(float(second), satisfied, answers)
    points = line.points()
    assert 115 <= len(points) <= 121
    _, share, low, _, usual, n = points[-1]
    assert share is not None
    assert low is not None
    assert share < low < (usual or 0)
    assert n == 50
    _, before, low, high, _, _ = points[-15]
    assert (low or 0) <= (before or 0) <= (high or 0)


def test_the_line_goes_on_at_once_when_the_clock_is_set_back() -> None:
    line = Line(window=2.0)
    for step in range(40):
        line.add(3600.0 + 2 * step, step * 40, step * 50)
    for step in range(40, 50):
        line.add(80.0 + 2 * (step - 40), step * 40, step * 50)
    # The first reading by the new time begins a window; what the old one told of the future is gone.
    assert [p[0] for p in line.points()] == [82.0 + 2 * n for n in range(9)]


def test_quiet_windows_make_no_point_and_few_answers_a_wide_band() -> None:
    busy, quiet = Line(), Line()
    for step in range(60):
        busy.add(step * 2.0, step * 80, step * 100)
        quiet.add(step * 2.0, step // 3 * 4, step // 3 * 5)
    wide, narrow = ((p[3] or 0) - (p[2] or 0) for p in (quiet.points()[-1], busy.points()[-1]))
    assert len(quiet.points()) < len(busy.points()) / 2
    assert wide > narrow
    assert len(busy.points(3)) == 3


def test_the_line_waits_until_enough_answers_tell_what_is_usual_and_then_raises_no_false_alarm() -> None:
    line = Line(window=2.0)
    totals = [(0, 0), (1, 1), (2, 2), (10, 14), (25, 31), (42, 50), (60, 70), (76, 90)]
    for step, (satisfied, answers) in enumerate(totals):
        line.add(step * 2.0, satisfied, answers)
    points = line.points()
    assert [p[0] for p in points] == [8.0, 10.0, 12.0, 14.0]
    assert all((p[2] or 0) <= (p[1] or 0) <= (p[3] or 0) for p in points)


def test_freshness_forgets_after_a_quarter_of_an_hour() -> None:
    freshness = Freshness()
    freshness.add(0.0, [9.0])
    freshness.add(1000.0, [0.04] * 98 + [0.2, 0.2])
    assert freshness.summary(1000.0) == {
        "median": 0.04,
        "slowest": 0.2,
        "answers": 100,
        "recent": [0.043],
    }
    assert freshness.summary(5000.0) is None


def test_a_terminal_that_nobody_answered_about_says_so_and_hides_no_other() -> None:
    units = [cell("Luleå", 0, 0, 0, 0, 0), cell("Årsta", 0, 100, 0, 0, 800), cell("Kiruna", 0, 0, 0, 0, 0)]
    told = rows_of("terminal", units, cell("", 0, 100, 0, 0, 800))
    assert [row["value"] for row in told["shown"]] == ["Årsta"]
    assert (told["hidden"], told["grouped"], told["unanswered"]) == ([], None, ["Luleå", "Kiruna"])
    # Beside one with too few it neither hides nor makes the others larger.
    few = rows_of("terminal", [*units, cell("Umeå", 1, 0, 0, 0, 0)], None)
    assert [row["value"] for row in few["hidden"]] == ["Årsta", "Umeå"]
    assert few["grouped"]["response_of_delivered"]["n"] == 4000


@pytest.mark.parametrize(("answers", "points"), [(29, 0), (30, 1)])
def test_thirty_answers_are_enough_for_the_line_to_begin(answers: int, points: int) -> None:
    line = Line(window=2.0)
    line.add(0.0, 0, 0)
    line.add(2.0, 20, answers)
    assert len(line.points()) == points
