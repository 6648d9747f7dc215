"""The figures of a closed month: each is what was computed by hand, and none misleads."""

import re

import pytest

from services.aggregator.quality.documents import as_csv, document
from services.aggregator.quality.figures import Quality
from services.aggregator.quality.page import render
from services.aggregator.quality.revisions import Counted, Month, Revision, month_of
from tests.months import PUBLISHER, SEPTEMBER, SHELF, asked_three, cells_of, counted, quality_in, revision


def month_reached(reached: int | None, answers: int = 200) -> Quality:
    """A month of a thousand asked, half of its deliveries, with so many known as reached."""
    closed = revision(1, SEPTEMBER, 0).closed_at
    total = Counted((0, 0, 0, 0, answers), 2000, 1000, reached)
    month = month_of(SEPTEMBER, [Revision(1, "closed", closed, {("total", ""): total})])
    return quality_in(SEPTEMBER, {SEPTEMBER: month})


def rates_on_page(quality: Quality) -> tuple[str, str]:
    page = render(quality, PUBLISHER, SHELF, "en")
    [(value, note)] = re.findall(r"Response rate</dt>\s*<dd[^>]*>([^<]*)<.*?note\">(.*?)</dd>", page, re.DOTALL)
    return value, note


def test_both_response_rates_stand_on_the_page_in_json_and_in_csv() -> None:
    found = month_reached(800)
    assert rates_on_page(found) == ("25.0", "<b>200</b>, of 800 reached; 10.0\u00a0% of all delivered")
    told = document(found, None)
    # Wilson of 200 in 800 and of 200 in 2,000
    assert told["response_of_reached"] == {"n": 800, "share": 0.25, "low": 0.22124, "high": 0.28115}
    assert told["response_of_delivered"] == {"n": 2000, "share": 0.1, "low": 0.08761, "high": 0.11392}
    assert (told["response"]["share"], told["receipts"]) == (0.2, "most")
    assert "2026-09,all,response_of_reached,0.25,0.22124,0.28115,800,\r\n" in as_csv(found, None)
    assert "2026-09,all,response_of_delivered,0.1,0.08761,0.11392,2000,\r\n" in as_csv(found, None)


@pytest.mark.parametrize(
    ("reached", "receipts", "words", "note"),
    [
        (None, "none", "there are no receipts", "no receipts"),
        (0, "none", "there are no receipts", "no receipts"),
        (799, "few", "receipts tell of fewer than 80\u00a0% of those asked", "too few receipts"),
    ],
)
def test_a_month_without_receipts_says_so_in_words_instead_of_a_rate_of_those_reached(
    reached: int | None, receipts: str, words: str, note: str
) -> None:
    found = month_reached(reached)
    value, said = rates_on_page(found)
    assert value == "20.0"
    assert said == (
        f"<b>200</b>, of 1,000 asked; 10.0\u00a0% of all delivered. How many were reached is not known: {words}."
    )
    told = document(found, None)
    assert (told["response_of_reached"], told["receipts"]) == (None, receipts)
    assert f"2026-09,all,response_of_reached,,,,,{note}\r\n" in as_csv(found, None)


@pytest.mark.parametrize(("answers", "shown"), [(49, False), (50, True)])
def test_response_rates_of_fewer_than_fifty_answers_are_in_no_form_of_the_page(answers: int, shown: bool) -> None:
    found = month_reached(800, answers)
    told = document(found, None)
    names = ("response", "response_of_reached", "response_of_delivered")
    assert [told[n] is not None for n in names] == [shown] * 3
    assert ("all,response_of_reached,,,,,\r\n" in as_csv(found, None)) is not shown
    assert (rates_on_page(found)[0] == "–") is not shown


def test_the_index_of_three_questions_stands_in_place_of_that_of_the_faces_where_enough_answered_them() -> None:
    found = quality_in(SEPTEMBER, {SEPTEMBER: asked_three({24: 30, 27: 30})})
    # the sums' mean 25.5, each question's 8.5: (8.5 - 1) / 9; s² of the sums 135 / 59, t(0.975, 59) = 2.001
    assert found.three is not None
    assert (found.three.value, found.three.low, found.three.high) == pytest.approx((83.333, 81.886, 84.781), abs=1e-3)
    page = render(found, PUBLISHER, SHELF, "sv")
    assert ">83,3<" in page.replace("<small", "<")
    assert "<b>81,9–84,8</b>, tre frågor" in page
    assert document(found, None)["index_of_three_questions"]["value"] == 83.33
    assert "2026-09,all,index_of_three_questions,83.33,81.89,84.78," in as_csv(found, None)


def test_the_index_of_three_questions_of_too_few_people_is_nowhere() -> None:
    found = quality_in(SEPTEMBER, {SEPTEMBER: asked_three({24: 30, 27: 19})})
    assert found.three is None
    assert "fem steg" in render(found, PUBLISHER, SHELF, "sv")
    assert document(found, None)["index_of_three_questions"] is None


def test_bounds_weight_and_index_are_those_computed_by_hand() -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    total = Counted((10, 10, 0, 30, 50), 800, 400)
    parts = {
        ("terminal.method", "Årsta × home_day"): Counted((10, 10, 0, 10, 20), 400, 200),
        ("terminal.method", "Årsta × home_evening"): Counted((0, 0, 0, 20, 30), 400, 200),
    }
    found = quality_in(
        SEPTEMBER, {SEPTEMBER: month_of(SEPTEMBER, [Revision(1, "closed", closed, {("total", ""): total, **parts})])}
    )
    assert found.bounds == (0.2, 0.95)
    assert found.weighted is not None
    assert found.weighted.share == pytest.approx(0.8)
    assert found.index is not None
    assert found.index.value == pytest.approx(75.0)
    page, told = render(found, PUBLISHER, SHELF, "en"), document(found, None)
    assert "the satisfied share would be 20.0\u00a0%. Had all been satisfied, it would be 95.0\u00a0%." in page
    assert "Weighted by way of delivery and terminal it is 80.0\u00a0%." in page
    # two strata alike weigh the same; mean 4 with variance 180 / 99, t(0.975, 99) = 1.98422
    assert (told["bounds"], told["weighted"]["share"], told["weighted"]["design_effect"]) == ([0.2, 0.95], 0.8, 1.0)
    assert told["index"] == {"value": 75.0, "low": 68.31, "high": 81.69}


def test_the_share_without_a_disruption_is_told_where_neither_part_can_be_worked_out(quality: Quality) -> None:
    assert "Utan leveranser under en störning är den 88,5\u00a0%." in render(quality, PUBLISHER, SHELF, "sv")
    closed = revision(1, SEPTEMBER, 0).closed_at
    for disturbed, told in ((49, False), (50, True)):
        parts = {("disrupted", "true"): counted(disturbed, 0.5), ("disrupted", "false"): counted(900, 0.8)}
        month = month_of(SEPTEMBER, [Revision(1, "closed", closed, cells_of(home_day=950) | parts)])
        assert (quality_in(SEPTEMBER, {SEPTEMBER: month}).undisturbed is not None) is told


def month_of_waves(early: Counted, late: Counted) -> Quality:
    closed = revision(1, SEPTEMBER, 0).closed_at
    waves = {("wave", "early"): early, ("wave", "late"): late}
    parts = cells_of(home_day=early.answers + late.answers) | waves
    return quality_in(SEPTEMBER, {SEPTEMBER: month_of(SEPTEMBER, [Revision(1, "closed", closed, parts)])})


def test_early_less_late_is_told_and_warns_where_it_is_surely_large() -> None:
    # Newcombe's method 10 for 56 of 70 less 48 of 80: 0.2, 0.0524 to 0.3339
    found = month_of_waves(Counted((14, 0, 0, 0, 56), 0, 0), Counted((32, 0, 0, 0, 48), 0, 0))
    page = render(found, PUBLISHER, SHELF, "en")
    assert "first 3 days less that of later ones is 20 points (5 to 33)" in page
    assert "Early and late answers differ" in page
    told = document(found, None)
    assert told["early_less_late"] == {
        "value": 0.2,
        "low": 0.05243,
        "high": 0.33387,
        "days": 3,
        "early": {"n": 70, "share": 0.8, "low": 0.69183, "high": 0.87695},
        "late": {"n": 80, "share": 0.6, "low": 0.49045, "high": 0.70038},
    }
    assert told["read_with_care"] == ["late_differ"]


def test_a_month_too_biased_to_publish_tells_no_share_but_its_bounds_its_response_and_why() -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at

    def month_of_answers(number: int, *answers: int) -> Month:
        totals = [Counted((0, 0, 0, 0, n), 8000, 4000) for n in answers]
        cells = [{("total", ""): total, ("method", "home_day"): total} for total in totals]
        return month_of(number, [Revision(i, "closed", closed, of) for i, of in enumerate(cells, 1)])

    # 199 of 4,000 asked are under five per cent, 200 are not.
    months = {SEPTEMBER: month_of_answers(SEPTEMBER, 120, 199), SEPTEMBER + 1: month_of_answers(SEPTEMBER + 1, 200)}
    found = quality_in(SEPTEMBER, months)
    page, told = render(found, PUBLISHER, SHELF, "en"), document(found, None)
    assert re.findall(r'class="lead">([^<]+)<', page) == ["5.0"]
    assert page.count("Too biased to publish: read why below") == 3
    assert "Fewer than five per cent answered." in page
    assert "closed. – became –." in page
    assert "the satisfied share would be 5.0\u00a0%. Had all been satisfied, it would be 100.0\u00a0%." in page
    assert "of 4,000 asked; 2.5\u00a0% of all delivered" in page
    assert (told["too_few"], told["too_biased"], told["read_with_care"]) == (False, True, ["too_silent"])
    assert [told[n] for n in ("satisfied", "dissatisfied", "index", "undisturbed")] == [None] * 4
    assert (told["methods"], told["months"][-1]["satisfied"], told["bounds"]) == ([], None, [0.04975, 1.0])
    assert (told["response"]["share"], told["response_of_delivered"]["share"]) == (0.04975, 0.02488)
    assert "100.0" not in re.sub(r"would be 100\.0|100\.0\u00a0%</text>", "", page)
    later = document(quality_in(SEPTEMBER + 1, months), None)
    assert (later["too_biased"], later["satisfied"]["share"]) == (False, 1.0)
    assert [m["satisfied"] is None for m in later["months"][-2:]] == [True, False]


def test_early_less_late_is_hidden_where_a_side_has_fewer_than_fifty_answers() -> None:
    found = month_of_waves(Counted((100, 0, 0, 0, 900), 0, 0), Counted((49, 0, 0, 0, 0), 0, 0))
    assert document(found, None)["early_less_late"] is None
    assert "first 3 days" not in render(found, PUBLISHER, SHELF, "en")
