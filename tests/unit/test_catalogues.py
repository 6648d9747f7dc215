"""The words of every language are complete and fill the same places."""

from pathlib import Path

import pytest

from services.chassis.catalogues import placeholders, read_catalogue


@pytest.mark.parametrize(("service", "domain"), [("notifier", "messages"), ("survey", "survey")])
def test_all_languages_of_a_service_have_the_same_keys_and_placeholders(
    repository: Path, service: str, domain: str
) -> None:
    locales = repository / "services" / service / "locales"
    catalogues = {folder.name: read_catalogue(locales, folder.name, domain) for folder in locales.iterdir()}
    english = catalogues["en"]
    for language, words in catalogues.items():
        assert words.keys() == english.keys(), language
        assert {k: placeholders(w) for k, w in words.items()} == {k: placeholders(w) for k, w in english.items()}
        assert all(words.values()), language
