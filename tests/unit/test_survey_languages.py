"""Which language a person gets, and when that is worth a line in the log."""

import pytest

from services.survey.languages import Choice, accepted_language, choose_language, offered_languages


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (("fi", "sv"), "fi"),
        ((None, "sv-SE", "en"), "sv"),
        (("EN_gb",), "en"),
        (("no",), "nb"),
        (("nn-NO",), "nn"),
        (("", None), "en"),
        ((), "en"),
        (("<script>", "de"), "de"),
        (("sv\n", "de"), "de"),
    ],
)
def test_the_first_wish_that_has_a_catalogue_is_met(wanted: tuple[str | None, ...], language: str) -> None:
    assert choose_language(*wanted) == Choice(language)


@pytest.mark.parametrize(
    ("wanted", "choice"),
    [
        (("fo", "de"), Choice("da", "fo")),
        (("gsw", "sv"), Choice("de", "gsw")),
        (("pl", "sv"), Choice("sv", "pl")),
        (("pl", None, "uk"), Choice("en", "pl")),
        (("smn",), Choice("en", "smn")),
    ],
)
def test_a_language_without_catalogue_falls_back_and_is_named(wanted: tuple[str | None, ...], choice: Choice) -> None:
    assert choose_language(*wanted) == choice


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("gsw-CH,de;q=0.9", "gsw"),
        ("fil-PH,fil;q=0.9", "fil"),
        ("dav", "dav"),
        ("sv-SE,sv;q=0.8", "sv"),
        ("EN_gb", "EN"),
        ("nn;q=0.5", "nn"),
        ("fi", "fi"),
        ("*", ""),
        ("x-svenska", ""),
        ("svenska", ""),
        ("", ""),
    ],
)
def test_a_browsers_first_language_is_read_as_it_is_not_by_its_first_letters(header: str, language: str) -> None:
    assert accepted_language({"accept-language": header}) == language
    assert accepted_language({}) == ""


def test_swiss_german_gets_german_and_filipino_no_finnish() -> None:
    assert choose_language(accepted_language({"accept-language": "gsw-CH"})).language == "de"
    assert choose_language(accepted_language({"accept-language": "fil-PH"})).language == "en"


def test_nordic_readers_fall_back_to_a_neighbour_before_english() -> None:
    assert choose_language("nn", available=("nb", "da", "en")) == Choice("nb", "nn")
    assert choose_language("nn", available=("da", "en")) == Choice("da", "nn")
    assert choose_language("nn", available=("fi", "en")) == Choice("en", "nn")


def test_a_page_links_to_the_languages_by_their_own_names_and_to_nynorsk_beside_norwegian() -> None:
    assert list(offered_languages("sv").values()) == ["Svenska", "Norsk", "Dansk", "Suomi", "English", "Deutsch"]
    assert list(offered_languages("nb"))[:3] == ["sv", "nb", "nn"]
    assert "nn" in offered_languages("nn")
