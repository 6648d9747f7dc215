"""Corrections of closed months: which are public, when, and what they tell."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.aggregator.quality.corrections import Told, corrections_of, latest_first
from services.aggregator.quality.documents import document
from services.aggregator.quality.figures import Quality
from services.aggregator.quality.page import render
from services.aggregator.quality.revisions import Counted, Month, Revision, month_of
from tests.months import PUBLISHER, SEPTEMBER, SHELF, asked_three, cells_of, quality_in, revision, two_years


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


def month_of_cells(*revisions: dict[tuple[str, str], Counted]) -> Month:
    closed = revision(1, SEPTEMBER, 0).closed_at
    return month_of(SEPTEMBER, [Revision(i, "late", closed, cells) for i, cells in enumerate(revisions, 1)])


def shown_methods(month: Month) -> dict[str, int | None]:
    return {m.value: m.share.n if m.share else None for m in quality_in(SEPTEMBER, {SEPTEMBER: month}).methods}


def parted(cut: str, **answers: int) -> dict[tuple[str, str], Counted]:
    return {(cut, value): Counted((0, 0, 0, 0, n), n, n) for value, n in answers.items()}


def test_a_way_of_delivery_that_was_hidden_stays_so_or_what_it_was_before_could_be_worked_out() -> None:
    # All less home less shop, had a later revision told of it: one answer in a locker.
    month = month_of_cells(
        cells_of(home_day=1000, parcel_locker=1, workplace=60), cells_of(home_day=1000, parcel_locker=61, workplace=60)
    )
    assert (month.shown.number, month.waiting) == (2, 0)
    assert shown_methods(month) == {"home_day": 1000, "parcel_locker": None, "workplace": None}


def test_a_correction_waits_where_what_it_hides_could_be_worked_out_of_what_was_told_before() -> None:
    before = cells_of(home_day=1000, parcel_locker=61, workplace=60)
    after = cells_of(home_day=1000, parcel_locker=1, workplace=60)
    assert (month_of_cells(before, after).shown.number, month_of_cells(before, after).waiting) == (1, 1)
    both_moved = month_of_cells(before, cells_of(home_day=1000, parcel_locker=1, workplace=260))
    assert shown_methods(both_moved) == {"home_day": 1000, "parcel_locker": None, "workplace": None}
    again = month_of_cells(before, after, cells_of(home_day=1000, parcel_locker=161, workplace=60))
    assert shown_methods(again) == {"home_day": 1000, "parcel_locker": 161, "workplace": 60}


@pytest.mark.parametrize(("shop", "shown"), [(60, 1), (107, 1), (108, 2)])
def test_hidden_ways_of_delivery_are_told_together_and_so_must_move_together(shop: int, shown: int) -> None:
    month = month_of_cells(
        cells_of(home_day=1000, parcel_locker=1, workplace=60), cells_of(home_day=1300, parcel_locker=3, workplace=shop)
    )
    assert month.shown.number == shown


@pytest.mark.parametrize(("cut", "most", "few"), [("wave", "early", "late"), ("disrupted", "false", "true")])
def test_parts_that_were_too_small_to_tell_are_not_told_by_a_correction(cut: str, most: str, few: str) -> None:
    first = cells_of(home_day=1000) | parted(cut, **{most: 970, few: 30})
    second = cells_of(home_day=1060) | parted(cut, **{most: 970, few: 90})
    month = month_of_cells(first, second)
    found = quality_in(SEPTEMBER, {SEPTEMBER: month})
    assert (month.shown.number, found.waves, found.undisturbed) == (2, None, None)
    alone = quality_in(SEPTEMBER, {SEPTEMBER: month_of_cells(second)})
    assert (alone.waves is None) == (alone.undisturbed is not None) == (cut == "disrupted")
    assert month_of_cells(second, first).waiting == 1


@pytest.mark.parametrize(("cut", "most", "few"), [("wave", "early", "late"), ("disrupted", "false", "true")])
def test_a_cut_that_only_one_revision_has_holds_no_correction_back(cut: str, most: str, few: str) -> None:
    without, more = cells_of(home_day=1000), cells_of(home_day=1200)
    new = parted(cut, **{most: 1170, few: 30})
    assert month_of_cells(without, more | new).shown.number == 2
    assert month_of_cells(without | new, more).shown.number == 2
    # What does not move at all is told too.
    assert month_of_cells(without, without | parted(cut, **{most: 970, few: 30})).waiting == 0


def test_a_correction_is_compared_with_every_revision_that_was_public() -> None:
    steps = [cells_of(home_day=n) for n in (1000, 1060, 1005)]
    assert (month_of_cells(*steps).shown.number, month_of_cells(*steps).waiting) == (2, 1)


def test_a_way_of_delivery_that_nobody_answered_about_hides_no_other(quality: Quality) -> None:
    month = month_of_cells(cells_of(home_day=5000, parcel_locker=3000, neighbour=0))
    assert shown_methods(month) == {"home_day": 5000, "parcel_locker": 3000, "neighbour": None}
    page = render(quality_in(SEPTEMBER, {SEPTEMBER: month}), PUBLISHER, SHELF, "en")
    assert "No answers" in page
    assert "Too few answers" not in page
    assert "No answers" not in render(quality, PUBLISHER, SHELF, "en")


@pytest.mark.parametrize(("more", "shown"), [(0, 2), (1, 1), (49, 1), (50, 2)])
def test_a_correction_of_few_answers_to_the_three_questions_waits(more: int, shown: int) -> None:
    assert asked_three({24: 60}, {24: 60 + more}).shown.number == shown


def test_small_corrections_wait_until_they_are_part_of_a_greater_one() -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    steps = [Revision(i + 1, "late", closed, cells_of(home_day=400 + more)) for i, more in enumerate((0, 20, 40, 60))]
    month = month_of(SEPTEMBER, steps)
    assert (month.shown.number, [c.number for c in month.corrections], month.waiting) == (4, [4], 0)


def test_a_correction_does_not_tell_the_share_that_was_too_biased_to_publish_before_it() -> None:
    closed = revision(1, SEPTEMBER, 0).closed_at
    silent, heard = Counted((30, 0, 0, 0, 90), 8000, 4000), Counted((30, 0, 0, 0, 270), 8000, 4000)
    month = month_of(
        SEPTEMBER, [Revision(i, "late", closed, {("total", ""): c}) for i, c in enumerate((silent, heard), 1)]
    )
    found = quality_in(SEPTEMBER, {SEPTEMBER: month})
    [correction] = corrections_of(month)
    assert found.too_biased is False
    assert correction.before == Told(120, None)
    assert correction.after.satisfied is not None
    assert (correction.after.answers, correction.after.satisfied.share) == (300, 0.9)
    page = render(found, PUBLISHER, SHELF, "en")
    assert "– became 90" in page


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
    quality = quality_in(SEPTEMBER, {SEPTEMBER: months[1]})
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
    quality = quality_in(SEPTEMBER, {SEPTEMBER: month})
    page = render(quality, PUBLISHER, replace(SHELF, corrections=corrections), "sv")
    assert ("Ingen publicerad månad har rättats." in page) == (listed == [])
    assert [c["revision"] for c in document(quality, None, corrections)["all_corrections"]] == listed


def test_a_correction_tells_no_figure_of_fewer_than_fifty_answers() -> None:
    [correction] = corrections_of(corrected(SEPTEMBER, 40, 400))
    assert correction.before == Told(None, None)
    assert correction.after.answers == 400
    page = render(quality_in(SEPTEMBER, two_years()), PUBLISHER, replace(SHELF, corrections=[correction]), "en")
    assert rows_of_corrections(page)[0][4:] == ["– became 90.0 86.7–92.6", "– became 400"]


def test_a_month_that_is_held_back_tells_the_share_of_none_of_its_corrections() -> None:
    month = corrected(SEPTEMBER, 600, 90)
    assert quality_in(SEPTEMBER, {SEPTEMBER: month}).too_biased
    [correction] = corrections_of(month)
    assert (correction.before, correction.after) == (Told(600, None), Told(90, None))
