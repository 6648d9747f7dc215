"""The language of a comment is told among those we know, or not at all."""

import pytest

from services.survey.comments.languages import LANGUAGES, Languages


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Snäll chaufför som ringde innan han kom", "sv"),
        ("Hyggelig sjåfør som ringte først", "nb"),
        ("Ho var veldig snill og venta medan eg leita etter nøklane mine", "nn"),
        ("Flink chauffør, der ringede i forvejen", "da"),
        ("Ystävällinen kuljettaja soitti etukäteen", "fi"),
        ("Very kind driver, phoned before", "en"),
        ("Sehr netter Fahrer, hat vorher angerufen", "de"),
        ("ok", None),
        ("👍👍", None),
        ("", None),
    ],
)
def test_the_language_is_told_or_left_open(languages: Languages, text: str, language: str | None) -> None:
    assert languages.of(text) == language


def test_every_known_language_has_its_code() -> None:
    assert LANGUAGES == ("sv", "nb", "nn", "da", "fi", "en", "de")


def test_the_tables_are_not_read_before_the_first_comment() -> None:
    assert Languages()._identifier is None
