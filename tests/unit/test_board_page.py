"""The whiteboard's page: what it says, what it leaves out, and in six languages."""

import dataclasses
import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.chassis.catalogues import read_catalogue
from services.survey.praise import board_page
from services.survey.praise.board import Board, BoardView, Quote
from services.survey.praise.board_page import LANGUAGES, BoardPage, tally
from services.survey.praise.scrub import Piece, scrub
from services.survey.praise.signs import sign_of
from tests.boards import BOARD, SHOWN, quote
from tests.plain_words import placeholders

PAGE = BoardPage(7)


def text_of(view: BoardView) -> str:
    return " ".join(
        re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", PAGE.render(view).decode(), flags=re.DOTALL).split()
    )


def test_the_board_says_what_the_picture_says() -> None:
    text = text_of(SHOWN)
    for said in (
        "Årsta terminal Tisdag 13 oktober",
        "37 beröm i dag",
        "Stjärna Blå Rutt 14 · hemleverans",
        "Måne Ockra Rutt 22 · hemleverans",
        "Våg Röd Utlämningen",
        "34 av 37 framförda till den som gjorde jobbet",
        "Vanligaste skälet: bemötandet 14:32",
    ):
        assert said in text


def test_masked_words_are_tags_in_the_boards_language_and_their_text_is_not_in_the_page() -> None:
    page = PAGE.render(dataclasses.replace(SHOWN, quotes=(quote("Koden är 4711, tack"),))).decode()
    assert '<span class="mask" lang="sv">kod</span>' in page
    assert "4711" not in page


def test_too_few_tells_no_number_and_no_quote() -> None:
    view = dataclasses.replace(SHOWN, today=None, passed_on=None, reason=None, quotes=())
    text = text_of(view)
    assert "Färre än 5 beröm i dag" in text
    assert "minst 10" in text
    assert not re.search(r"\b(37|34)\b", text)


def test_a_driver_who_declined_is_only_a_route() -> None:
    text = text_of(dataclasses.replace(SHOWN, quotes=(quote("Så snäll", sign=None),)))
    assert "Så snäll ” Rutt 14 · hemleverans" in text.replace("Så snäll”", "Så snäll ”")


def test_markup_in_a_comment_is_shown_as_text() -> None:
    page = PAGE.render(dataclasses.replace(SHOWN, quotes=(quote("<img src=x onerror=alert(1)>{{7*7}}"),))).decode()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;{{7*7}}" in page


def test_each_quote_stands_large_once_beside_three_short_ones() -> None:
    view = dataclasses.replace(SHOWN, quotes=tuple(quote(f"Tack {n}") for n in range(6)))
    page = PAGE.render_now(view).decode()
    large = re.findall(r'class="large [a-z]*"><p lang="">”Tack (\d)', page)
    assert large == ["0", "1", "2", "3", "4", "5"]
    assert page.count("<figure>") == 6 * 3


def test_a_long_quote_is_smaller_and_cut_at_a_word_but_never_beside_another() -> None:
    long = quote("ordet " * 80)
    page = PAGE.render_now(dataclasses.replace(SHOWN, quotes=(quote("Tack"), long))).decode()
    assert 'class="large long"' in page
    assert "ordet …”" in page
    assert "<figure>" not in page.split('class="large long"')[0]


@pytest.mark.parametrize(("count", "strokes"), [(1, 1), (5, 5), (37, 37), (50, 50)])
def test_there_is_a_stroke_for_each_praise(count: int, strokes: int) -> None:
    assert tally(count).count("M") == strokes


def test_over_fifty_only_the_number_is_read() -> None:
    assert tally(51) == ""


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("sv", "Tisdag 13 oktober"),
        ("nb", "Tirsdag 13. oktober"),
        ("da", "Tirsdag 13. oktober"),
        ("fi", "Tiistai 13. lokakuuta"),
        ("en", "Tuesday 13 October"),
        ("de", "Dienstag, 13. Oktober"),
    ],
)
def test_every_language_has_its_date(language: str, said: str) -> None:
    assert said in text_of(dataclasses.replace(SHOWN, board=Board("Årsta", "Årsta", language)))


def test_all_languages_have_the_same_words() -> None:
    locales = Path(board_page.__file__).parent / "locales"
    catalogues = {language: read_catalogue(locales, language, "board") for language in LANGUAGES}
    english = catalogues["en"]
    for language, words in catalogues.items():
        assert words.keys() == english.keys(), language
        assert {k: placeholders(w) for k, w in words.items()} == {k: placeholders(w) for k, w in english.items()}
        assert all(words.values()), language


def test_no_score_time_of_delivery_or_rank_is_in_the_page() -> None:
    assert {f.name for f in dataclasses.fields(Quote)} == {"pieces", "sign", "route", "method"}
    assert {f.name for f in dataclasses.fields(BOARD)} == {"terminal", "title", "language"}


def test_a_screen_is_told_by_its_version_when_the_page_itself_has_changed() -> None:
    assert PAGE.render(SHOWN).count(b'data-version="') == 1
    assert PAGE.render_now(SHOWN).count(b'data-version="') == 1


def test_the_time_is_the_terminals_own() -> None:
    night = dataclasses.replace(SHOWN, local_now=datetime(2026, 10, 13, 0, 5, tzinfo=ZoneInfo("Europe/Stockholm")))
    assert "00:05" in text_of(night)
    finnish = dataclasses.replace(night, board=Board("Årsta", "Årsta", "fi"))
    assert "0.05" in text_of(finnish)


def test_signs_beyond_the_sixteenth_have_a_number() -> None:
    later = dataclasses.replace(SHOWN.quotes[0], sign=sign_of(16))
    assert "Stjärna Blå 2" in text_of(dataclasses.replace(SHOWN, quotes=(later,)))


def test_a_quote_of_masks_only_is_still_a_quote() -> None:
    assert scrub("0701740605", "SE") == (Piece("", scrub("0701740605", "SE")[0].mask),)
