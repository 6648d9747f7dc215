"""Which language a person gets, and when that is worth a line in the log."""

import pytest

from services.survey.languages import Choice, choose_language, offered_languages


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


def test_nordic_readers_fall_back_to_a_neighbour_before_english() -> None:
    assert choose_language("nn", available=("nb", "da", "en")) == Choice("nb", "nn")
    assert choose_language("nn", available=("da", "en")) == Choice("da", "nn")
    assert choose_language("nn", available=("fi", "en")) == Choice("en", "nn")


def test_a_page_links_to_the_languages_by_their_own_names_and_to_nynorsk_beside_norwegian() -> None:
    assert list(offered_languages("sv").values()) == ["Svenska", "Norsk", "Dansk", "Suomi", "English", "Deutsch"]
    assert list(offered_languages("nb"))[:3] == ["sv", "nb", "nn"]
    assert "nn" in offered_languages("nn")
