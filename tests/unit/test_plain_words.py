"""The words of every catalogue: complete, plain, in their own language, and none that no page uses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.response import RatedParty
from services.chassis.catalogues import Catalogue, read_catalogue, read_plural_catalogue
from services.notifier import render as messages
from services.survey.definitions import FOLLOW_UPS, REASONS
from services.survey.languages import LANGUAGES
from services.survey.recipient.public_pages import PublicPages, SentState
from services.survey.recipient.rendering import SurveyPages
from services.survey.recipient.wording import MissingWordsError, Wording, load_wordings
from tests.messages import written
from tests.plain_words import faults, placeholders, too_long
from tests.recipient_pages import CONTESTED, DEFINITIONS, QUESTION, SAVED, SITE, STATES, touchpoint_question

PAGES, MESSAGES, OUTCOMES = ("survey/recipient", "survey"), ("notifier", "messages"), ("survey/outcomes", "outcome")


def read(repository: Path, service: str, domain: str) -> dict[str, Catalogue]:
    locales = repository / "services" / service / "locales"
    return {f.name: read_plural_catalogue(locales, f.name, domain) for f in sorted(locales.iterdir())}


def all_texts(catalogue: Catalogue) -> list[tuple[str, str]]:
    return [*catalogue.texts.items(), *((key, text) for key, forms in catalogue.plurals.items() for text in forms)]


def test_the_pages_have_a_catalogue_for_each_language_offered(repository: Path) -> None:
    assert set(read(repository, *PAGES)) == {"sv", "nb", "nn", "da", "fi", "en", "de"} == set(LANGUAGES)


@pytest.mark.parametrize(("service", "domain"), [PAGES, MESSAGES, OUTCOMES])
def test_all_catalogues_have_the_same_keys_and_fill_the_same_places(
    repository: Path, service: str, domain: str
) -> None:
    catalogues = read(repository, service, domain)
    english = catalogues["en"]
    for language, catalogue in catalogues.items():
        assert catalogue.texts.keys() == english.texts.keys(), language
        assert catalogue.plurals.keys() == english.plurals.keys(), language
        for key, text in catalogue.texts.items():
            assert placeholders(text) == placeholders(english.texts[key]), (language, key)
        for key, forms in catalogue.plurals.items():
            assert len(forms) == 2, (language, key)
            assert {placeholders(form) for form in forms} == {placeholders(english.plurals[key][0])}, (language, key)


@pytest.mark.parametrize(("service", "domain"), [PAGES, MESSAGES, OUTCOMES])
def test_no_text_flatters_sells_shouts_or_apologises(repository: Path, service: str, domain: str) -> None:
    found = {
        (language, key): wrong
        for language, catalogue in read(repository, service, domain).items()
        for key, text in all_texts(catalogue)
        if (wrong := faults(language, text))
    }
    assert found == {}


def test_every_text_of_a_page_is_short_enough_for_the_smallest_phone(repository: Path) -> None:
    found = {
        (language, key): wrong
        for language, catalogue in read(repository, *PAGES).items()
        for key, text in all_texts(catalogue)
        if (wrong := too_long(key, text))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sv", "Tack, du är viktig för oss."),
        ("sv", "Vi beklagar att det gick fel."),
        ("sv", "Vad tycker våra kunder?"),
        ("nb", "Vi setter pris på svaret."),
        ("nn", "Diverre gjekk det gale."),
        ("nn", "Svaret er ikke lagra."),
        ("da", "Det er vigtigt for os."),
        ("fi", "Mielipiteesi auttaa."),
        ("en", "Your opinion helps."),
        ("en", "Thank you!"),
        ("en", "Thank you 🙂"),
        ("de", "Leider ging das schief."),
        ("de", "Danke für dein Paket."),
        ("de", "DANKE"),
        ("fi", ""),
        ("fi", "Kiitos  vastauksesta"),
    ],
)
def test_the_lint_finds_what_it_looks_for(language: str, text: str) -> None:
    assert faults(language, text)
    assert not faults("en", "Saved.")


def test_the_lint_finds_words_that_a_phone_cannot_hold() -> None:
    assert too_long("face.1", "Ausgesprochen unzufrieden") == ["has 25 characters, at most 21 fit"]
    assert too_long("saved", "Paketzustellungszufriedenheit") == ["has the long word 'Paketzustellungszufriedenheit'"]
    assert too_long("parcel", "Paket från {shop}") == []


SAME_AS_ENGLISH = {
    "nb": {"submit"},
    "nn": {"submit"},
    "da": {"submit", "channel.email"},
    "de": {"channel.sms", "contact.name", "reason.low.explanation", "reason.middle.explanation"},
}


def test_nothing_is_left_in_english(repository: Path) -> None:
    catalogues = read(repository, *PAGES)
    english = catalogues["en"]
    for language in set(catalogues) - {"en"}:
        texts, plurals = catalogues[language].texts, catalogues[language].plurals
        same = {key for key, text in texts.items() if text == english.texts[key]}
        assert same == SAME_AS_ENGLISH.get(language, set()), language
        assert not any(set(forms) & set(english.plurals[key]) for key, forms in plurals.items()), language


def test_each_page_names_a_person_to_talk_to_in_its_own_language() -> None:
    pages = SurveyPages(SITE)
    for language, words in load_wordings().items():
        for name, render in STATES.items():
            html = render(pages, language).decode()
            assert words("human") in html, (language, name)
            assert 'href="tel:0846500410"' in html, (language, name)
            assert 'href="mailto:hjalp@nordposten.example"' in html, (language, name)


def test_every_word_of_the_catalogue_stands_on_some_page(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[str] = set()
    plain, plural = Wording.__call__, Wording.in_days

    def note(self: Wording, key: str, **values: Any) -> Any:
        used.add(key)
        return plain(self, key, **values)

    def note_plural(self: Wording, key: str, days: int, **values: Any) -> Any:
        used.add(key)
        return plural(self, key, days, **values)

    monkeypatch.setattr(Wording, "__call__", note)
    monkeypatch.setattr(Wording, "in_days", note_plural)
    pages = SurveyPages(SITE)
    words = load_wordings()["sv"]
    for render in STATES.values():
        render(pages, "sv")
    for occasion, definition in DEFINITIONS.items():
        for shop in ("Fjällbod", None):
            pages.render_question(touchpoint_question(occasion, "sv", merchant_name=shop))
        for score in range(1, 6):
            saved = replace(SAVED, definition=definition, score=score, follow_ups=definition.follow_ups)
            pages.render_saved(saved)
    pages.render_saved(replace(SAVED, follow_ups=tuple(FOLLOW_UPS.values())))
    for rated in RatedParty:
        pages.render_question(replace(QUESTION, definition=replace(DEFINITIONS["home"], rated=rated)))
    methods = {key.split(".")[1] for key in words.words if key.startswith("method.")} - {"return", "enquiry"}
    for method in methods:
        for place in ("Kiosken", None):
            pages.render_question(replace(QUESTION, method=method, place=place))
    assert CONTESTED.case is not None
    pages.render_contested(replace(CONTESTED, case=replace(CONTESTED.case, contact_promised=False)))

    public = PublicPages(SITE)
    for done in (False, True):
        public.render_unsubscribe("sv", brand="Nordposten Demo", done=done)
    for state in SentState:
        public.render_sent("sv", state, host="svar.nordposten.example")

    assert used == {*words.words, *words.plurals}


def test_each_reason_has_words_for_each_score_in_each_language() -> None:
    for words in load_wordings().values():
        for tone in ("low", "middle", "high"):
            assert all(words(f"reason.{tone}.{reason}") for reason in REASONS)


def test_values_are_escaped_and_missing_words_are_named() -> None:
    words = load_wordings()["sv"]
    assert words("parcel", shop="<b>") == "Paket från &lt;b&gt;"
    with pytest.raises(MissingWordsError, match="sv has no words for 'parcell'"):
        words("parcell")
    with pytest.raises(MissingWordsError, match="sv has no words for 3 of 'parcell'"):
        words.in_days("parcell", 3)


def test_a_message_asks_and_says_who_is_rated_in_the_words_of_the_page_it_leads_to(repository: Path) -> None:
    pages, messages = read(repository, *PAGES), read(repository, *MESSAGES)
    for language, catalogue in messages.items():
        shared = {k: t for k, t in catalogue.texts.items() if k.startswith(("question.", "rated.", "face."))}
        assert len(shared) == 6 + 5 + 5
        for key, text in shared.items():
            assert text.replace("{brand}", "{carrier}") == pages[language].texts[key], (language, key)


def test_every_word_of_the_messages_stands_in_some_message(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[str] = set()

    class Noting(dict[str, str]):
        def __getitem__(self, key: str) -> str:
            used.add(key)
            return super().__getitem__(key)

    monkeypatch.setattr(messages, "read_catalogue", lambda *which: Noting(read_catalogue(*which)))
    written("sv")
    assert used == read_catalogue(messages.LOCALES, "sv", "messages").keys()
