"""What was usual, as a live page draws it beside the line of today."""

from typing import Any

from services.aggregator.live.past import past_of


def day_of(value: str, day: int, satisfied: int, answers: int) -> dict[str, Any]:
    return {"value": value, "day": day, "satisfied": satisfied, "dissatisfied": answers - satisfied, "answers": answers}


def test_what_is_usual_are_the_same_weekdays_of_eight_weeks() -> None:
    total = [day_of("", 100 - 7 * k, 8, 10) for k in range(9)] + [day_of("", 99, 0, 1000)]
    past = past_of(100, [], total, cases={}, by_terminal=True, with_usual=True)
    assert past["usual"]["satisfied"]["n"] == 80
    assert past["usual"]["satisfied"]["share"] == 0.8
    assert past["usual"]["dissatisfied"]["share"] == 0.2
    assert past_of(100, [], total, cases={}, by_terminal=True, with_usual=False)["usual"] is None
    assert past_of(100, [], [day_of("", 93, 4, 4)], cases={}, by_terminal=True, with_usual=True)["usual"] is None


def test_a_small_line_leaves_out_days_that_could_be_worked_out() -> None:
    parts = [
        day_of("Årsta", 100, 8, 10),
        day_of("Luleå", 100, 3, 4),
        day_of("Umeå", 100, 5, 6),
        day_of("Årsta", 99, 9, 10),
    ]
    lines = past_of(100, parts, [], cases={}, by_terminal=True, with_usual=False)["days"]
    assert lines["Årsta"][-2:] == [0.9, 0.8]
    assert lines["Luleå"][-1] is None
    assert lines["Umeå"][-1] is None
    assert len(lines["Årsta"]) == 14
