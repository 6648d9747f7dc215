"""What recipients see after they answered: what is saved, what may be added, and what comes next."""

import re
from dataclasses import replace

import pytest

from services.survey.answers.preferences import FREQUENCIES
from services.survey.definitions import REASONS, FollowUp
from services.survey.languages import LANGUAGES
from services.survey.recipient.page_models import Contact, ContestedPage, LockedPage
from services.survey.recipient.rendering import SurveyPages
from tests.page_reader import Page
from tests.recipient_pages import (
    CONTESTED,
    DEFINITIONS,
    DONE,
    FACTS,
    QUESTION,
    SAVED,
    STATES,
    TOKEN,
)

OFFER = re.compile(rb'<section class="ruled">\s*<p><a class="review".*?</section>', re.DOTALL)


def test_a_hostile_comment_draft_stays_text(pages: SurveyPages) -> None:
    page = Page(pages.render_save_failed(replace(SAVED, comment_draft="</textarea><script>x</script>")))
    assert len(page.all("script")) == 1
    assert "</textarea><script>x</script>" in page.text


@pytest.mark.parametrize(
    ("score", "heading"),
    [
        (1, "Vad gick fel?"),
        (2, "Vad gick fel?"),
        (3, "Vad kan bli bättre?"),
        (4, "Vad gick bra?"),
        (5, "Vad gick bra?"),
    ],
)
def test_the_saved_page_is_the_same_for_all_scores_but_for_the_reasons(
    pages: SurveyPages, score: int, heading: str
) -> None:
    page = Page(pages.render_saved(replace(SAVED, score=score, reasons=("courtesy",))))
    assert "Tack. Ditt svar är sparat." in page.text
    assert heading in page.text
    chips = page.all("input", type="checkbox", name="reasons")
    assert [chip["value"] for chip in chips] == list(REASONS)
    assert [chip["value"] for chip in chips if "checked" in chip] == ["courtesy"]
    assert page.all("input", name="part", value="details")
    assert page.all("textarea", name="comment", maxlength="2000")
    assert page.all("h2", tabindex="-1", id="saved")
    assert page.all("p", role="status")
    assert "Jag fick inte paketet" in page.text


def test_contact_is_asked_for_only_when_offered_and_never_chosen_for_the_person(pages: SurveyPages) -> None:
    assert not Page(pages.render_saved(replace(SAVED, contact=None))).all("input", name="wants_contact")
    page = Page(pages.render_saved(SAVED))
    (consent,) = page.all("input", name="wants_contact")
    assert "checked" not in consent
    assert "raderas 90 dagar efter att det är avslutat" in page.text


def test_a_contact_wish_can_be_taken_back_where_it_was_given(pages: SurveyPages) -> None:
    for wished in (
        Page(pages.render_saved(replace(SAVED, contact=Contact(saved=True)))),
        Page(pages.render_contested(CONTESTED)),
    ):
        assert len(wished.all("button", name="wants_contact", value="0")) == 1
        assert "Kontakta mig inte, radera mina kontaktuppgifter" in wished.text
        assert wished.all("button", name="contested")
    for nobody in (pages.render_saved(SAVED), pages.render_contested(replace(CONTESTED, wish_saved=False))):
        assert not Page(nobody).all("button", name="wants_contact")


def test_a_failed_save_keeps_the_choice_and_says_so(pages: SurveyPages) -> None:
    page = Page(pages.render_save_failed(replace(QUESTION, preselected=2)))
    (chosen,) = [radio for radio in page.all("input", name="score") if "checked" in radio]
    assert chosen["value"] == "2"
    assert page.all("div", role="alert")
    assert "hidden" not in page.all("p", **{"class": "notice"})[0]
    assert "Svaret är inte sparat än. Ditt val finns kvar här." in page.text
    assert "Försök igen" in page.text


def test_the_done_page_tells_what_is_stored_until_when_and_what_comes_next(pages: SurveyPages) -> None:
    page = Page(pages.render_done(DONE))
    assert "Missnöjd · Kom för sent" in page.text
    assert "till och med 27 oktober" in page.text
    assert "En medarbetare hör av sig senast onsdag 17:42. Ärende K-20417." in page.text
    assert [radio["value"] for radio in page.all("input", name="frequency")] == list(FREQUENCIES)
    assert "Länken är densamma för alla, oavsett betyg." in page.text


def test_the_done_page_promises_no_contact_that_nobody_can_make(pages: SurveyPages) -> None:
    assert DONE.case is not None
    without = replace(DONE, case=replace(DONE.case, contact_promised=False))
    assert "hör av sig" not in Page(pages.render_done(without)).text
    assert "Vad händer nu?" not in Page(pages.render_done(replace(DONE, case=None))).text


def test_the_review_link_does_not_depend_on_the_score(pages: SurveyPages) -> None:
    links = {
        re.findall(r'<a class="review".*?</p>', pages.render_done(replace(DONE, score=score)).decode(), re.DOTALL)[0]
        for score in range(1, 6)
    }
    assert len(links) == 1


def test_a_locked_page_shows_the_own_score_and_nothing_to_send(pages: SurveyPages) -> None:
    page = Page(pages.render_locked(LockedPage(**FACTS, score=4)))
    assert "Svaret är låst." in page.text
    assert "Nöjd" in page.text
    assert not page.all("form")
    assert TOKEN not in pages.render_locked(LockedPage(**FACTS, score=4)).decode()


def test_the_contested_page_asks_for_no_score(pages: SurveyPages) -> None:
    page = Page(pages.render_contested(ContestedPage(**FACTS)))
    assert "Det räknas inte som ett betyg. Inga påminnelser skickas." in page.text
    assert not page.all("input", name="score")


def chips(html: bytes) -> list[str]:
    return re.findall(r'for="reason-\w+">(.*?)</label>', html.decode())


def test_the_chips_follow_the_touchpoint_and_the_score(pages: SurveyPages) -> None:
    def offered(occasion: str, score: int) -> list[str]:
        return chips(pages.render_saved(replace(SAVED, definition=DEFINITIONS[occasion], score=score)))

    home = ["Kom för sent", "Fel plats", "Paketet skadat", "Bemötandet", "Aviseringen", "Annat"]
    assert offered("home", 1) == home
    assert offered("home", 3) == ["Tiden", "Platsen", "Paketets skick", "Bemötandet", "Aviseringen", "Annat"]
    assert offered("enquiry", 2) == ["Tog lång tid", "Bemötandet", "Informationen", "Annat"]
    assert offered("enquiry", 5) == ["Gick snabbt", "Bemötandet", "Tydlig information"]
    assert offered("locker", 4) == ["I rätt tid", "Platsen", "Paketet var helt", "Tydlig avisering", "Annat"]
    assert offered("damaged", 5) == ["Hur skadan hanterades", "Tydlig information", "Bemötandet"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("sv", "Skriv ett telefonnummer eller en e-postadress, eller ta bort krysset."),
        ("nb", "Skriv et telefonnummer eller en e-postadresse, eller fjern krysset."),
        ("nn", "Skriv eit telefonnummer eller ei e-postadresse, eller fjern krysset."),
        ("da", "Skriv et telefonnummer eller en e-mailadresse, eller fjern krydset."),
        ("fi", "Kirjoita puhelinnumero tai sähköpostiosoite, tai poista valinta."),
        ("en", "Write a phone number or an e-mail address, or untick the box."),
        ("de", "Bitte eine Telefonnummer oder E-Mail-Adresse angeben oder das Häkchen entfernen."),
    ],
)
def test_a_wish_without_an_address_is_told_beside_the_field(pages: SurveyPages, language: str, words: str) -> None:
    page = Page(STATES["saved, nobody to reach"](pages, language))
    field = page.all("input", id="contact-address")[0]
    assert (field["aria-invalid"], field["aria-describedby"]) == ("true", "contact-missing")
    assert words in page.text
    assert page.all("input", id="contact-name", value="Elin Sandahl")
    assert words not in Page(STATES["saved, details not saved"](pages, language)).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_review_offer_is_the_same_to_the_byte_whatever_was_answered(pages: SurveyPages, language: str) -> None:
    shown = [
        OFFER.findall(pages.render_done(replace(DONE, language=language, score=score, case=case, reasons=())))
        for score in (1, 2, 3, 4, 5)
        for case in (None, DONE.case)
    ]
    shown.append(OFFER.findall(pages.render_contested(replace(CONTESTED, language=language, review=DONE.review))))
    assert len(shown[0]) == 1
    assert all(offer == shown[0] for offer in shown)


def test_further_questions_are_optional_radios_with_words_at_both_ends(pages: SurveyPages) -> None:
    asked = (FollowUp("courtesy", 5), FollowUp("satisfaction", 10))
    page = Page(pages.render_saved(replace(SAVED, follow_ups=asked, followed={"satisfaction": 7})))
    courtesy = page.all("input", type="radio", name="q.courtesy")
    satisfaction = page.all("input", type="radio", name="q.satisfaction")
    assert [radio["value"] for radio in courtesy] == ["1", "2", "3", "4", "5", ""]
    assert [radio["value"] for radio in satisfaction] == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", ""]
    assert [radio["value"] for radio in (*courtesy, *satisfaction) if "checked" in radio] == ["7"]
    assert not any("required" in radio for radio in (*courtesy, *satisfaction))
    assert "Några frågor till (frivilligt)" in page.text
    assert "Hur var bemötandet? 12345 1 mycket dåligt 5 mycket bra Inget svar" in page.text
    assert "1 mycket missnöjd 10 mycket nöjd" in page.text
    assert page.all("fieldset", **{"aria-describedby": "ends-courtesy"})


@pytest.mark.parametrize("language", ["sv", "nb", "nn", "da", "fi", "en", "de"])
def test_whether_a_person_would_recommend_us_is_asked_from_nought_to_ten(pages: SurveyPages, language: str) -> None:
    asked = replace(SAVED, language=language, follow_ups=(FollowUp("recommend", 10, 0),), followed={"recommend": 0})
    page = Page(pages.render_saved(asked))
    steps = page.all("input", type="radio", name="q.recommend")
    assert [radio["value"] for radio in steps] == [*map(str, range(11)), ""]
    assert [radio["value"] for radio in steps if "checked" in radio] == ["0"]


def test_answers_to_further_questions_are_shown_and_a_page_without_any_has_no_such_part(pages: SurveyPages) -> None:
    assert "open" in Page(pages.render_saved(SAVED)).all("details")[0]
    assert "open" not in Page(pages.render_saved(replace(SAVED, followed={}))).all("details")[0]
    assert not Page(pages.render_saved(replace(SAVED, follow_ups=()))).all("details")


def test_a_page_that_shows_no_reasons_says_so_in_its_form(pages: SurveyPages) -> None:
    without = replace(SAVED, definition=replace(SAVED.definition, low=()))
    for page in (Page(pages.render_saved(without)), Page(pages.render_contested(CONTESTED))):
        assert [part["value"] for part in page.all("input", name="part")] == ["further"]
        assert not page.all("input", name="reasons")


def test_a_survey_without_a_comment_has_no_box_for_one(pages: SurveyPages) -> None:
    silent = replace(SAVED, definition=replace(SAVED.definition, comment=False))
    assert Page(pages.render_saved(SAVED)).all("textarea")
    assert not Page(pages.render_saved(silent)).all("textarea")


def test_a_failed_save_keeps_the_contact_wish(pages: SurveyPages) -> None:
    wish = Contact(wanted=True, name_draft="Elin", address_draft='"><script>')
    page = Page(pages.render_save_failed(replace(SAVED, contact=wish)))
    assert "checked" in page.all("input", name="wants_contact")[0]
    assert page.all("input", name="contact_name", value="Elin")
    assert page.all("input", name="contact_address", value='"><script>')


def test_a_contested_delivery_can_be_taken_back_when_the_parcel_came_after_all(pages: SurveyPages) -> None:
    page = Page(pages.render_contested(CONTESTED))
    assert page.all("button", name="contested", value="0")
    assert "Paketet kom ändå" in page.text
    assert not Page(pages.render_contested(ContestedPage(**FACTS))).all("button", name="contested")


def test_kept_preferences_are_told_beside_their_button(pages: SurveyPages) -> None:
    page = Page(pages.render_done(replace(DONE, preferences_saved=True)))
    assert "Ditt val är sparat." in page.text
    assert page.all("p", role="status", **{"data-say": "Ditt val är sparat."})
    assert "Ditt val är sparat." not in Page(pages.render_done(DONE)).text


def test_changing_the_language_of_the_last_page_stays_on_it(pages: SurveyPages) -> None:
    page = Page(pages.render_done(DONE))
    assert "?done=1&lang=fi" in [link["href"] for link in page.all("a")]
    assert f"/r/{TOKEN}?edit=1&lang=sv" in [link["href"] for link in page.all("a")]
