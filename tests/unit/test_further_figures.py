"""Further questions, early less late answers and the reach of silence: shown with interval and number, or not."""

from typing import Any

from services.aggregator.figures.further import Asked, Waves, asked_of, silence, waves_of
from services.aggregator.figures.further_words import further_rows, silence_row
from services.aggregator.statistics import share_of

FEW = "Too few answers (fewer than 5)"


def wave(name: str, *scores: int) -> dict[str, Any]:
    return {"value": f"Årsta × {name}", "scores": list(scores)}


def test_the_net_promoter_score_stands_with_its_interval_where_it_was_asked() -> None:
    # 50 of 100 promote, 20 detract: 30, and by hand 14.69 to 45.31
    said = {"recommend": {10: 20, 9: 30, 8: 20, 7: 10, 6: 5, 0: 15}}
    assert further_rows(asked_of(said), None) == [("Net promoter score, -100 to 100", "30", "15 to 45", "100")]


def test_ease_stands_as_a_mean_with_the_share_that_found_it_easy() -> None:
    # mean 4.1, variance 8.9 / 9, t(0.975, 9) = 2.262157: 3.389 to 4.811
    said = {"ease": {2: 1, 3: 1, 4: 4, 5: 4}}
    assert further_rows(asked_of(said), None) == [("Ease, 1 to 5", "4.1", "3.4 to 4.8", "10, 80\u00a0% found it easy")]


def test_the_index_is_made_of_the_sums_of_its_three_questions() -> None:
    # mean of the questions 8.5, (8.5 - 1) / 9; the sums' mean is sure to 1.13108
    said = {"index": {24: 5, 27: 5}, "satisfaction": {8: 5, 9: 5}}
    assert further_rows(asked_of(said), None) == [("Index of ACSI form, 0 to 100", "83.3", "79.1 to 87.5", "10")]


def test_what_nobody_was_asked_is_left_out_and_what_too_few_answered_is_not_told() -> None:
    assert asked_of({}) == []
    assert asked_of({"courtesy": {5: 4}, "ease": {9: 50}, "unheard_of": {3: 50}}) == [Asked("courtesy", None, None)]
    assert further_rows(asked_of({"courtesy": {5: 4}}), None) == [("Courtesy, 1 to 5", "", "", FEW)]
    [sure] = asked_of({"courtesy": {5: 5}})
    assert (sure.answers, sure.value) == (5, (5.0, 5.0, 5.0))


def test_early_less_late_stands_where_both_sides_have_answers_enough() -> None:
    # Newcombe's method 10 for 56 of 70 less 48 of 80: 0.2, 0.0524 to 0.3339
    found = waves_of([wave("early", 4, 5, 5, 26, 20), wave("early", 0, 0, 0, 0, 10), wave("late", 12, 10, 10, 24, 24)])
    assert found is not None
    assert further_rows([], found) == [("Satisfied % of early less late answers", "20", "5 to 33", "70 early, 80 late")]


def test_with_few_late_answers_neither_side_is_told() -> None:
    assert waves_of([]) is None
    assert waves_of([wave("early", 0, 0, 0, 0, 90), wave("late", 4, 0, 0, 0, 0)]) == Waves(None, None, None)
    assert further_rows([], Waves(None, None, None)) == [("Satisfied % of early less late answers", "", "", FEW)]


def test_the_bounds_hold_whatever_the_silent_think() -> None:
    assert silence(share_of(24, 30), 100) == (0.24, 0.94)
    assert silence_row((0.24, 0.94)) == [("Satisfied %, whatever the silent think", "24–94", "bounds, no estimate", "")]
    assert silence(share_of(24, 30), 29) is None
    assert silence(None, 100) is None
    assert silence_row(None) == []
