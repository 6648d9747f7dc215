"""The daily digest says what happened, compares it honestly, and shows nothing of too few."""

from datetime import UTC, date, datetime

from services.aggregator.digests.digest import as_html, as_text, digest
from services.aggregator.digests.page import page_of
from services.aggregator.digests.routes import not_counted
from services.aggregator.figures.interventions import Intervention

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
ROWS = {
    0: {"s1": 3, "s2": 1, "s4": 4, "s5": 12, "delivered": 90, "asked": 60, "commented": 7, "contested": 1},
    1: {"s1": 2, "s4": 8, "s5": 90, "delivered": 400},
    29: {"s1": 500},
}


def test_a_digest_as_text_tells_shares_with_intervals_beside_the_days_before() -> None:
    marked = [Intervention("evening delivery", "terminal", "Luleå", date(2026, 11, 1))]
    text = as_text(digest("terminal", "Luleå", DAY, ROWS, fewest=5, interventions=marked))
    # 16 of 20: Wilson 0.584 to 0.919; 98 of 100 before; the 500 of 29 days ago are too old
    assert text == (
        "Luleå, 2026-11-20\n"
        "\n"
        "20 answers: 3, 1, 0, 4, 12 from very dissatisfied to very satisfied\n"
        "Satisfied: 80 % (58 % to 92 %); 98 % in the 28 days before: lower\n"
        "Dissatisfied: 20 % (8 % to 42 %); 2 % in the 28 days before: higher\n"
        "Lately, half weight after 7 days: 95 % satisfied (89 % to 98 %)\n"
        "7 with a comment, 1 say the parcel never came\n"
        "90 delivered, 60 asked\n"
        "Since 2026-11-01: evening delivery\n"
        "Not taken care of yet\n"
    )


def test_a_digest_tells_what_was_asked_beside_the_faces_and_nothing_of_too_few() -> None:
    said = {"recommend": {10: 20, 9: 30, 8: 20, 7: 10, 6: 5, 0: 15}, "ease": {5: 4}}
    told = digest("merchant", "Fjällbod", DAY, ROWS, fewest=5, said=said)
    # 50 of 100 promote, 20 detract: 30, and by hand 14.69 to 45.31
    assert (
        "90 delivered, 60 asked\n"
        "Asked beside the faces, this day and the 28 before:\n"
        "  Net promoter score, -100 to 100: 30 (15 to 45), 100 answers\n"
        "  Ease, 1 to 5: too few answers (fewer than 5)\n"
        "Not taken care of yet\n"
    ) in as_text(told)
    assert "<td>30</td><td>15 to 45</td><td>100</td>" in as_html(told)


def test_a_day_of_too_few_answers_shows_none_of_them() -> None:
    told = digest("terminal", "Luleå", DAY, {0: {"s1": 4, "commented": 4, "contested": 3, "delivered": 9}}, fewest=5)
    assert (told.answers, told.scores, told.satisfied, told.commented, told.contested) == (None, None, None, None, None)
    assert "Too few answers to show" in as_text(told)
    assert as_text(digest("terminal", "Luleå", DAY, {}, fewest=5)).startswith("Luleå, 2026-11-20\n\nNo answers\n")


def test_overlapping_shares_are_no_difference() -> None:
    told = digest("terminal", "Luleå", DAY, {0: {"s5": 9, "s1": 1}, 3: {"s5": 8, "s1": 2}}, fewest=5)
    assert told.satisfied is not None
    assert told.satisfied.verdict == "no difference"


def test_a_digest_as_a_page_escapes_names_and_holds_its_form_only_for_whom_may_post_it() -> None:
    told = digest("terminal", "<b>Luleå", DAY, ROWS, fewest=5)
    page = page_of(told, NOW, form_secret="f-1").decode()
    for text in (page, as_html(told)):
        assert "<b>" not in text
        assert "&lt;b&gt;Luleå" in text
    assert 'name="form_secret" value="f-1"' in page
    assert "<form" not in page_of(told, NOW).decode()
    assert "<form" not in as_html(told)


def test_a_digest_that_was_taken_care_of_says_by_whom() -> None:
    care = {"who": "Ada Demo", "note": "rang the driver", "at": datetime(2026, 11, 21, 8, 5, tzinfo=UTC)}
    told = digest("terminal", "Luleå", DAY, ROWS, fewest=5, taken_care=care)
    assert as_text(told).endswith("Taken care of by Ada Demo, 2026-11-21 08:05 UTC: rang the driver\n")
    page = page_of(told, NOW, form_secret="f-1").decode()
    assert "Taken care of by Ada Demo, 2026-11-21 08:05 UTC: rang the driver" in page
    assert "<form" not in page


def test_a_digest_as_a_page_says_where_the_day_differs_from_the_days_before() -> None:
    page = page_of(digest("terminal", "Luleå", DAY, ROWS, fewest=5), NOW).decode()
    # 16 of 20 beside 98 of 100: lower; 4 of 20 beside 2 of 100: higher
    assert "58–92, n 20. Below the 28 days before, 98.0" in page
    assert "8–42, n 20. Above the 28 days before, 2.0" in page
    assert page.count('class="lead below"') == 2
    few = page_of(
        digest("terminal", "Luleå", DAY, {0: {"s1": 4, "delivered": 9, "commented": 3}}, fewest=5), NOW
    ).decode()
    assert few.count("Too few answers (fewer than 5)") == 4
    assert "With a comment" not in few
    assert "No answers" in page_of(digest("terminal", "Luleå", DAY, {}, fewest=5), NOW).decode()


def test_a_misspelt_name_is_told_with_the_known_ones_that_are_written_most_alike() -> None:
    known = ["Göteborg", "Luleå", "Lund", "Umeå", "Årsta"]
    assert not_counted("terminal", "lulea", known) == (
        "no delivery was counted of terminal 'lulea'; did you mean Luleå?"
    )
    assert not_counted("terminal", "Kiruna", known) == "no delivery was counted of terminal 'Kiruna'"
    assert not_counted("terminal", "Luleå", []) == "no delivery was counted of terminal 'Luleå'"
