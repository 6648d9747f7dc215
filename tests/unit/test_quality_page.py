"""The public quality page: what it tells, what it hides, and that it needs nothing but itself."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from services.aggregator.figures.drawings import Scale, axis_of, interval, runs, svg, words
from services.aggregator.quality.complaints import Complaints
from services.aggregator.quality.corrections import Told, corrections_of, latest_first
from services.aggregator.quality.documents import as_csv, document
from services.aggregator.quality.figures import Quality, quality_of
from services.aggregator.quality.months import Change
from services.aggregator.quality.notes import LANGUAGES, load_notes
from services.aggregator.quality.page import headers, render, render_none
from services.aggregator.quality.publisher import Shelf
from services.aggregator.quality.revisions import Counted, Month, Revision, month_of
from services.aggregator.quality.speech import words_of
from services.aggregator.statistics import share_of
from services.chassis.failures import MustStop
from services.chassis.web.shell import csp_hash
from tests.months import COMPLAINTS, PUBLISHER, SEPTEMBER, counted, revision, two_years
from tests.plain_words import placeholders

CHANGES = (Change("Kvällsleverans i fler orter", date(2026, 5, 3)),)
SHELF = Shelf((SEPTEMBER - 1, SEPTEMBER), CHANGES, COMPLAINTS)


@pytest.fixture(scope="module")
def quality() -> Quality:
    return quality_of(SEPTEMBER, two_years())


def cells_of(**answers: int) -> dict[tuple[str, str], Counted]:
    """Methods with so many satisfied answers each, and their sum."""
    cells = {("method", m): Counted((0, 0, 0, 0, n), n, n) for m, n in answers.items()}
    total = sum(answers.values())
    return cells | {("total", ""): Counted((0, 0, 0, 0, total), total, total)}


def month_with(**answers: int) -> Quality:
    closed = revision(1, SEPTEMBER, 0).closed_at
    return quality_of(SEPTEMBER, {SEPTEMBER: month_of(SEPTEMBER, [Revision(1, "closed", closed, cells_of(**answers))])})


def test_a_month_is_told_in_five_figures_with_interval_and_last_year(quality: Quality) -> None:
    page = render(quality, PUBLISHER, SHELF, "sv")
    leads = re.findall(r'class="lead">([^<]+)<', page)
    notes = re.findall(r'class="note"><b>([^<]+)</b>, ([^<]+)<', page)
    assert leads[0] == "86,8"
    assert leads[3:] == ["94,1", "25,8"]
    assert notes[0] == ("86,5–87,1", "sep. 2025: 85,9")
    assert notes[3] == ("alla paket med löfte", "sep. 2025: 94,1")
    # 59,091 of 236,364 asked; receipts tell of 97 % of them, rounded down
    assert notes[4] == ("59\u00a0091", "av 229\u00a0273 nådda; 12,5\u00a0% av alla levererade")


def month_reached(reached: int | None, answers: int = 200) -> Quality:
    """A month of a thousand asked, half of its deliveries, with so many known as reached."""
    closed = revision(1, SEPTEMBER, 0).closed_at
    total = Counted((0, 0, 0, 0, answers), 2000, 1000, reached)
    month = month_of(SEPTEMBER, [Revision(1, "closed", closed, {("total", ""): total})])
    return quality_of(SEPTEMBER, {SEPTEMBER: month})


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


def test_a_way_of_delivery_with_too_few_answers_hides_itself_and_one_more() -> None:
    quality = month_with(home_day=400, home_box=30, workplace=61)
    told = {m.value: (m.share is not None, m.hidden_with) for m in quality.methods}
    assert told == {"home_day": (True, ()), "home_box": (False, ()), "workplace": (False, ("home_box",))}


def test_what_is_hidden_is_in_no_form_of_the_page() -> None:
    quality = month_with(home_day=4000, home_box=43, workplace=57)
    for text in (
        render(quality, PUBLISHER, SHELF, "en"),
        json.dumps(document(quality, None)),
        as_csv(quality, None),
    ):
        read = re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)
        assert not re.search(r"\b(43|57|4,?043|4,?057)\b", read)
    assert 'class="hatched"' in render(quality, PUBLISHER, SHELF, "en")


def test_a_month_of_fewer_than_fifty_answers_shows_no_figure() -> None:
    quality = month_with(home_day=49)
    page = render(quality, PUBLISHER, SHELF, "en")
    assert re.findall(r'class="lead">', page) == []
    assert page.count("Too few answers (fewer than 50)") >= 4
    told = document(quality, None)
    assert (told["too_few"], told["satisfied"], told["bounds"], told["methods"]) == (
        True,
        None,
        None,
        [{"method": "home_day", "satisfied": None}],
    )


@pytest.mark.parametrize(("answers", "shown"), [(49, None), (50, 50)])
def test_fifty_answers_are_enough_for_a_month(answers: int, shown: int | None) -> None:
    quality = month_with(home_day=answers)
    assert (quality.too_few, quality.satisfied and quality.satisfied.n) == (shown is None, shown)


@pytest.mark.parametrize(("changed", "shown"), [(0, 2), (1, 1), (49, 1), (50, 2)])
def test_a_correction_is_public_only_if_no_cell_tells_fewer_than_fifty_answers(changed: int, shown: int) -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    first = Revision(1, "closed", closed, cells_of(home_day=400, workplace=300))
    second = Revision(2, "late", closed, cells_of(home_day=400 + 200, workplace=300 + changed))
    month = month_of(SEPTEMBER, [first, second])
    assert (month.shown.number, month.waiting) == (shown, 2 - shown)


@pytest.mark.parametrize(("changed", "shown"), [(25, 1), (49, 1), (50, 2)])
def test_a_changed_face_counts_once_among_the_fifty_whose_answers_a_correction_may_tell(
    changed: int, shown: int
) -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at

    def faces(good: int, bad: int) -> dict[tuple[str, str], Counted]:
        return {("total", ""): Counted((bad, 0, 0, 0, good), 4000, 4000)}

    first = Revision(1, "closed", closed, faces(900, 100), {24: 500, 30: 100})
    second = Revision(2, "late", closed, faces(900 - changed, 100 + changed), first.sums)
    assert month_of(SEPTEMBER, [first, second]).shown.number == shown
    third = Revision(2, "late", closed, first.cells, {24: 500 - changed, 30: 100 + changed})
    assert month_of(SEPTEMBER, [first, third]).shown.number == shown


@pytest.mark.parametrize(("come", "gone", "shown"), [(49, 49, 1), (50, 1, 2), (1, 50, 2), (0, 49, 1)])
def test_who_came_and_who_left_are_not_added_up(come: int, gone: int, shown: int) -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    first, second = (
        Revision(i, "late", closed, {("total", ""): Counted((100 - less, 0, 0, 0, 900 + more), 4000, 4000)})
        for i, less, more in ((1, 0, 0), (2, gone, come))
    )
    assert month_of(SEPTEMBER, [first, second]).shown.number == shown


@pytest.mark.parametrize(("late", "shown"), [(100, 2), (101, 1), (149, 1), (150, 2)])
def test_a_correction_that_moves_few_late_answers_waits_too(late: int, shown: int) -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at

    def waves(early: int, late: int) -> dict[tuple[str, str], Counted]:
        cells = {("wave", "early"): Counted((0, 0, 0, 0, early), 0, 0)}
        return cells_of(home_day=1000) | cells | {("wave", "late"): Counted((0, 0, 0, 0, late), 0, 0)}

    month = month_of(
        SEPTEMBER, [Revision(1, "closed", closed, waves(900, 100)), Revision(2, "late", closed, waves(900, late))]
    )
    assert month.shown.number == shown


def asked_three(*sums: dict[int, int]) -> Month:
    """A month whose revisions differ in how often each sum of the three questions was given."""
    closed = revision(1, SEPTEMBER, 0).closed_at
    cells = cells_of(home_day=1000)
    return month_of(SEPTEMBER, [Revision(i, "late", closed, cells, of) for i, of in enumerate(sums, 1)])


def test_the_index_of_three_questions_stands_in_place_of_that_of_the_faces_where_enough_answered_them() -> None:
    found = quality_of(SEPTEMBER, {SEPTEMBER: asked_three({24: 30, 27: 30})})
    # the sums' mean 25.5, each question's 8.5: (8.5 - 1) / 9; s² of the sums 135 / 59, t(0.975, 59) = 2.001
    assert found.three is not None
    assert (found.three.value, found.three.low, found.three.high) == pytest.approx((83.333, 81.886, 84.781), abs=1e-3)
    page = render(found, PUBLISHER, SHELF, "sv")
    assert ">83,3<" in page.replace("<small", "<")
    assert "<b>81,9–84,8</b>, tre frågor" in page
    assert document(found, None)["index_of_three_questions"]["value"] == 83.33
    assert "2026-09,all,index_of_three_questions,83.33,81.89,84.78," in as_csv(found, None)


def test_the_index_of_three_questions_of_too_few_people_is_nowhere() -> None:
    found = quality_of(SEPTEMBER, {SEPTEMBER: asked_three({24: 30, 27: 19})})
    assert found.three is None
    assert "fem steg" in render(found, PUBLISHER, SHELF, "sv")
    assert document(found, None)["index_of_three_questions"] is None


@pytest.mark.parametrize(("more", "shown"), [(0, 2), (1, 1), (49, 1), (50, 2)])
def test_a_correction_of_few_answers_to_the_three_questions_waits(more: int, shown: int) -> None:
    assert asked_three({24: 60}, {24: 60 + more}).shown.number == shown


def test_small_corrections_wait_until_they_are_part_of_a_greater_one() -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    steps = [Revision(i + 1, "late", closed, cells_of(home_day=400 + more)) for i, more in enumerate((0, 20, 40, 60))]
    month = month_of(SEPTEMBER, steps)
    assert (month.shown.number, [c.number for c in month.corrections], month.waiting) == (4, [4], 0)


def test_bounds_weight_and_index_are_those_computed_by_hand() -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    total = Counted((10, 10, 0, 30, 50), 800, 400)
    parts = {
        ("terminal.method", "Årsta × home_day"): Counted((10, 10, 0, 10, 20), 400, 200),
        ("terminal.method", "Årsta × home_evening"): Counted((0, 0, 0, 20, 30), 400, 200),
    }
    found = quality_of(
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
        assert (quality_of(SEPTEMBER, {SEPTEMBER: month}).undisturbed is not None) is told


def month_of_waves(early: Counted, late: Counted) -> Quality:
    closed = revision(1, SEPTEMBER, 0).closed_at
    waves = {("wave", "early"): early, ("wave", "late"): late}
    parts = cells_of(home_day=early.answers + late.answers) | waves
    return quality_of(SEPTEMBER, {SEPTEMBER: month_of(SEPTEMBER, [Revision(1, "closed", closed, parts)])})


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
    found = quality_of(SEPTEMBER, months)
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
    later = document(quality_of(SEPTEMBER + 1, months), None)
    assert (later["too_biased"], later["satisfied"]["share"]) == (False, 1.0)
    assert [m["satisfied"] is None for m in later["months"][-2:]] == [True, False]


def test_a_correction_does_not_tell_the_share_that_was_too_biased_to_publish_before_it() -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    silent, heard = Counted((30, 0, 0, 0, 90), 8000, 4000), Counted((30, 0, 0, 0, 270), 8000, 4000)
    month = month_of(
        SEPTEMBER, [Revision(i, "late", closed, {("total", ""): c}) for i, c in enumerate((silent, heard), 1)]
    )
    found = quality_of(SEPTEMBER, {SEPTEMBER: month})
    [correction] = corrections_of(month)
    assert found.too_biased is False
    assert correction.before == Told(120, None)
    assert correction.after.satisfied is not None
    assert (correction.after.answers, correction.after.satisfied.share) == (300, 0.9)
    page = render(found, PUBLISHER, SHELF, "en")
    assert "– became 90" in page


def test_early_less_late_is_hidden_where_a_side_has_fewer_than_fifty_answers() -> None:
    found = month_of_waves(Counted((100, 0, 0, 0, 900), 0, 0), Counted((49, 0, 0, 0, 0), 0, 0))
    assert document(found, None)["early_less_late"] is None
    assert "first 3 days" not in render(found, PUBLISHER, SHELF, "en")


def test_a_gap_in_the_months_is_a_gap_in_the_line() -> None:
    shares = [share_of(80, 100), None, share_of(90, 100)]
    assert [[i for i, _ in run] for run in runs(shares)] == [[0], [2]]


def test_the_line_is_dotted_before_a_break_and_does_not_cross_it(quality: Quality) -> None:
    page = render(quality, PUBLISHER, SHELF, "sv")
    pieces = re.findall(r'<path class="(line[^"]*)" d="([^"]+)"', page)[:2]
    assert [kind for kind, _ in pieces] == ["line older", "line"]
    assert [d.count("L") + 1 for _, d in pieces] == [5, 19]
    assert "Metodbyte mars 2025: en fråga per stopp, inte per paket" in page
    assert "Kvällsleverans i fler orter" in page


def test_a_correction_tells_when_why_and_from_what_to_what(quality: Quality) -> None:
    page = render(quality, PUBLISHER, SHELF, "sv")
    assert "Slutlig, revision 2" in page
    assert re.search(r"Stängd 10 oktober\. Rättad 18 oktober: sena svar från Gotland\. 86,8 blev 86,8\.", page)


def corrected(number: int, *answers: int, day: int = 20) -> Month:
    """A month whose revisions hold so many answers, nine of ten satisfied, closed a day after each other."""
    closed = datetime(2026, 10, day, 6, tzinfo=UTC)
    totals = [Counted((n // 10, 0, 0, 0, n - n // 10), 4000, 2000) for n in answers]
    return month_of(
        number,
        [
            Revision(i, f"reason {i}", closed + timedelta(days=i), {("total", ""): total})
            for i, total in enumerate(totals, 1)
        ],
    )


def rows_of_corrections(page: str) -> list[list[str]]:
    table = page.partition('class="corrections"')[2].partition("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[2:]]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in rows]


def test_every_public_correction_of_any_month_is_listed_the_latest_first_with_what_it_moved() -> None:
    months = [corrected(SEPTEMBER - 30, 100, 300), corrected(SEPTEMBER, 100, 200, 600, day=10)]
    corrections = latest_first(c for month in months for c in corrections_of(month))
    quality = quality_of(SEPTEMBER, {SEPTEMBER: months[1]})
    page = render(quality, PUBLISHER, replace(SHELF, corrections=corrections), "en")
    # Wilson: 90 of 100, 270 of 300, 180 of 200, 540 of 600
    of_100, of_200, of_300 = "90.0 82.6–94.5", "90.0 85.1–93.4", "90.0 86.1–92.9"
    assert rows_of_corrections(page) == [
        ["March 2024", "2", "22 October 2026", "reason 2", f"{of_100} became {of_300}", "100 became 300"],
        ["September 2026", "3", "13 October 2026", "reason 3", f"{of_200} became 90.0 87.3–92.2", "200 became 600"],
        ["September 2026", "2", "12 October 2026", "reason 2", f"{of_100} became {of_200}", "100 became 200"],
    ]
    assert 'href="/quality/2024-03?lang=en"' in page
    assert '<a href="#corrections">All corrections</a>' in page
    first = document(quality, None, corrections)["all_corrections"][0]
    assert (first["month"], first["revision"], first["reason"]) == ("2024-03", 2, "reason 2")
    assert first["closed_at"] == "2026-10-22T06:00:00+00:00"
    assert (first["before"]["answers"], first["after"]["answers"]) == (100, 300)
    assert first["after"]["satisfied"] == {"n": 300, "share": 0.9, "low": 0.86083, "high": 0.92905}


@pytest.mark.parametrize(("answers", "listed"), [((100, 149), []), ((100, 149, 150), [3]), ((100, 150, 199), [2])])
def test_a_correction_of_fewer_than_fifty_answers_is_listed_only_as_part_of_a_greater_one(
    answers: tuple[int, ...], listed: list[int]
) -> None:
    month = corrected(SEPTEMBER, *answers)
    corrections = corrections_of(month)
    assert [c.revision for c in corrections] == listed
    quality = quality_of(SEPTEMBER, {SEPTEMBER: month})
    page = render(quality, PUBLISHER, replace(SHELF, corrections=corrections), "sv")
    assert ("Ingen publicerad månad har rättats." in page) == (listed == [])
    assert [c["revision"] for c in document(quality, None, corrections)["all_corrections"]] == listed


def test_a_correction_tells_no_figure_of_fewer_than_fifty_answers() -> None:
    [correction] = corrections_of(corrected(SEPTEMBER, 40, 400))
    assert correction.before == Told(None, None)
    assert correction.after.answers == 400
    page = render(quality_of(SEPTEMBER, two_years()), PUBLISHER, replace(SHELF, corrections=[correction]), "en")
    assert rows_of_corrections(page)[0][4:] == ["– became 90.0 86.7–92.6", "– became 400"]


def test_a_month_that_is_held_back_tells_the_share_of_none_of_its_corrections() -> None:
    month = corrected(SEPTEMBER, 600, 90)
    assert quality_of(SEPTEMBER, {SEPTEMBER: month}).too_biased
    [correction] = corrections_of(month)
    assert (correction.before, correction.after) == (Told(600, None), Told(90, None))


@pytest.mark.parametrize(
    ("language", "title", "said"),
    [
        ("sv", "Metod i detalj", "Grupper under 50 svar. Är bara en grupp dold"),
        ("en", "Method in detail", "Groups of fewer than 50 answers. Were one group alone hidden"),
    ],
)
def test_the_method_is_told_in_detail_with_its_limits_formulas_and_sources(
    quality: Quality, language: str, title: str, said: str
) -> None:
    page = render(quality, PUBLISHER, SHELF, language)
    section = page.split('id="method"')[1]
    assert section.startswith(f">{title}</h2>")
    names = ["counted", "asked", "share", "index", "rates", "bounds", "weighted", "biased", "complaints", "hidden"]
    assert re.findall(r'id="method-(\w+)"', section) == [*names, "corrected"]
    assert re.findall(r"<code>(.*?)</code>", section)[:2] == [
        "(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)",
        "100 (m − 1) / 4",
    ]
    assert re.findall(r'<a href="(https[^"]+)"', section) == [
        "https://doi.org/10.1080/01621459.1927.10502953",
        "https://doi.org/10.2307/145818",
    ]
    assert said in section
    # The limits are those of the figures: 5 %, 80 %, 10 points, 9 days.
    told = re.sub(r"<[^>]+>", "", section)
    assert [word in told for word in ("80\u00a0%", "5\u00a0%", " 10 p", " 9 da")] == [True] * 4
    assert page.count('href="#method"') == 2


def test_complaints_stand_per_thousand_by_cause_and_responsibility(quality: Quality) -> None:
    page = render(quality, PUBLISHER, SHELF, "sv")
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>((?:<td class="num">[\d,]+</td>){3})', page)
    told = {name: re.findall(r"[\d,]+(?=<)", cells) for name, cells in rows}
    assert told["För sent"] == ["1,94", "0,31", "0,22"]
    assert told["Alla klagomål, 4,11"] == ["3,30", "0,31", "0,50"]
    assert "2\u00a0055 ärenden är bedömda av personal, 212 är det inte än." in page


def test_few_complaints_are_not_shown(quality: Quality) -> None:
    few = Complaints(1000, {("late", "own"): 49}, waiting=3)
    page = render(quality, PUBLISHER, replace(SHELF, complaints=few), "en")
    assert "Too few complaints to be shown (fewer than 50)." in page
    assert few.document() is None
    assert "49" not in as_csv(quality, few).replace("0.49", "")[-200:]


@pytest.mark.parametrize(("judged", "shown"), [(49, False), (50, True)])
def test_complaints_are_shown_from_fifty_on(judged: int, shown: bool) -> None:
    assert (Complaints(1000, {("late", "own"): judged}, waiting=0).document() is not None) is shown


def test_json_and_csv_hold_the_figures_of_the_page(quality: Quality) -> None:
    told = document(quality, COMPLAINTS)
    assert (told["month"], told["revision"], len(told["months"])) == ("2026-09", 2, 24)
    rows = list(csv.reader(io.StringIO(as_csv(quality, COMPLAINTS))))
    [satisfied] = [r for r in rows if r[1:3] == ["all", "satisfied"] and r[0] == "2026-09"]
    assert [float(x) for x in satisfied[3:7]] == [told["satisfied"][k] for k in ("share", "low", "high", "n")]
    assert {len(r) for r in rows} == {8}
    assert ["2026-09", "late", "complaints own", "1.94", "", "", "", ""] in rows
    assert ["2026-09", "service_point", "satisfied", "0.889", "0.88525", "0.89264", "27730", ""] in rows
    assert ["2026-09", "home_box", "satisfied", "", "", "", "", ""] in rows
    assert {m["method"]: m["satisfied"] is None for m in told["methods"]}["in_home_code"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_needs_no_script_and_loads_nothing(quality: Quality, language: str) -> None:
    page = render(quality, PUBLISHER, SHELF, language)
    assert f'<html lang="{language}">' in page
    assert not re.search(r"<script|\sstyle=|\son\w+=|src=", page)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert csp_hash(style) in headers()["Content-Security-Policy"]
    assert "script-src 'none'" in headers()["Content-Security-Policy"]
    assert len(page.encode()) < 60_000


def test_before_a_month_is_closed_the_page_says_so() -> None:
    assert "Ingen månad är stängd än" in render_none(PUBLISHER, "sv")


def test_every_language_has_the_same_words_with_the_same_places() -> None:
    first, second = (words_of(language) for language in LANGUAGES)
    assert {k: placeholders(v) for k, v in first.items()} == {k: placeholders(v) for k, v in second.items()}
    assert all(first.values())
    assert all(second.values())


def test_notes_are_read_from_a_file_and_wrong_ones_stop_the_start(tmp_path: Path) -> None:
    file = tmp_path / "notes.toml"
    file.write_text('[[break]]\nmonth = "2025-03"\nsv = "en"\nen = "one"\n', encoding="utf-8")
    assert load_notes(file).breaks == {12 * 55 + 2: {"sv": "en", "en": "one"}}
    for wrong in ('[[break]]\nmonth = "2025-13"\nsv = "a"\nen = "b"', '[[break]]\nmonth = "2025-03"', "[[brake]]", "["):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(MustStop, match="KVITTERA_QUALITY_NOTES_FILE"):
            load_notes(file)


def test_a_scale_maps_values_to_places_and_keeps_what_lies_outside_at_its_end() -> None:
    scale = Scale(0.8, 0.9, 100, 0)
    assert [scale.at(v) for v in (0.8, 0.85, 0.9, 0.95, 0.1)] == [100, 50, 0, 0, 100]


def test_an_axis_reaches_over_all_intervals_in_whole_steps() -> None:
    low, high = axis_of([share_of(8790, 10000), share_of(8400, 10000), None])
    assert (low, high) == (0.82, 0.92)
    assert axis_of([]) == (0.0, 1.0)
    assert axis_of([share_of(100, 100)]) == (0.9, 1.0)


def test_drawings_say_their_words_safely() -> None:
    drawn = svg(10, 10, [words("here", 1, 2, "<b>")], label='a "b"')
    assert "&lt;b&gt;" in drawn
    assert 'role="img" aria-label="a &#34;b&#34;"' in drawn
    assert 'aria-hidden="true"' in interval(share_of(8, 10), (0, 1))
