"""What recipients see: every page, every language, and what must never stand in it."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from schemas.response import RatedParty
from services.survey.definitions import REASONS, FollowUp
from services.survey.recipient.rendering import (
    FREQUENCIES,
    LANGUAGES,
    Contact,
    ContestedPage,
    LockedPage,
    SurveyPages,
)
from tests.recipient_pages import (
    CONTESTED,
    DEFINITIONS,
    DELIVERED,
    DONE,
    FACTS,
    QUESTION,
    SAVED,
    SITE,
    STATES,
    TOKEN,
    touchpoint_question,
)

VOID = {"meta", "input", "br", "path", "circle", "use", "link", "wbr"}


class Page(HTMLParser):
    """The tags and the visible text of a page; fails on tags that are not closed in order."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inline: dict[str, list[str]] = {"style": [], "script": []}
        self._open: list[str] = []
        self.feed(html.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.inline[self._open[-1]] if self._open and self._open[-1] in self.inline else self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).replace("\N{SOFT HYPHEN}", "").split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]


@pytest.fixture(scope="module")
def pages() -> SurveyPages:
    return SurveyPages(SITE)


def every_page(pages: SurveyPages, language: str) -> dict[str, bytes]:
    return {name: render(pages, language) for name, render in STATES.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_small_well_formed_and_says_its_language(pages: SurveyPages, language: str) -> None:
    for name, html in every_page(pages, language).items():
        page = Page(html)
        assert page.all("html", lang=language), name
        assert len(html) < 30_000, name
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids)), name
        assert len(page.all("h1")) == 1, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_loads_nothing_and_has_no_inline_attributes_that_its_policy_refuses(
    pages: SurveyPages, language: str
) -> None:
    for name, html in every_page(pages, language).items():
        page = Page(html)
        for tag, attrs in page.tags:
            assert tag not in {"img", "link", "iframe", "object", "embed", "base"}, name
            assert "src" not in attrs, name
            assert "style" not in attrs, name
            assert not [attribute for attribute in attrs if attribute.startswith("on")], name
        assert "url(" not in page.inline["style"][0]


def test_the_headers_allow_exactly_the_style_and_the_script_that_stand_in_the_page(pages: SurveyPages) -> None:
    page = Page(pages.render_question(QUESTION))
    policy = pages.headers["Content-Security-Policy"]
    for kind in ("style", "script"):
        (text,) = page.inline[kind]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert pages.headers["Referrer-Policy"] == "no-referrer"
    assert pages.headers["Cache-Control"] == "no-store"
    assert pages.headers["X-Robots-Tag"] == "noindex"
    assert pages.headers["X-Content-Type-Options"] == "nosniff"


def test_the_question_says_who_is_rated_when_it_was_and_offers_five_faces_with_words(pages: SurveyPages) -> None:
    page = Page(pages.render_question(QUESTION))
    assert "Paket från Fjällbod Hemlevererat tisdag 17:42 Hur gick leveransen?" in page.text
    assert "Du betygsätter Nordposten Demo som levererade, inte butiken Fjällbod." in page.text
    assert "Mycket missnöjd Missnöjd Varken eller Nöjd Mycket nöjd" in page.text
    assert [radio["value"] for radio in page.all("input", type="radio", name="score")] == ["1", "2", "3", "4", "5"]
    assert page.all("fieldset")
    assert page.all("legend")
    labelled = {label["for"] for label in page.all("label")}
    assert labelled == {f"score{score}" for score in range(1, 6)}
    assert "Demodata" in page.text


def test_the_english_faces_keep_their_whole_words(pages: SurveyPages) -> None:
    page = Page(pages.render_question(replace(QUESTION, language="en")))
    assert "Very dissatisfied Dissatisfied Neither Satisfied Very satisfied" in page.text
    assert "Delivered to your home Tuesday 17:42 How did the delivery go?" in page.text


def test_the_forms_post_to_the_link_with_the_page_nonce_and_a_button_that_needs_no_script(pages: SurveyPages) -> None:
    page = Page(pages.render_question(QUESTION))
    forms = page.all("form")
    assert len(forms) == 2
    assert {(form["method"], form["action"]) for form in forms} == {("post", f"/r/{TOKEN}#saved")}
    assert [field["value"] for field in page.all("input", name="nonce")] == ["page-nonce"] * 2
    assert page.all("button", name="contested", value="1")
    assert "Skicka svaret" in page.text


def test_a_link_with_a_score_marks_one_face_and_a_plain_link_none(pages: SurveyPages) -> None:
    def checked(html: bytes) -> list[str | None]:
        return [radio["value"] for radio in Page(html).all("input", name="score") if "checked" in radio]

    assert checked(pages.render_question(QUESTION)) == []
    assert checked(pages.render_question(replace(QUESTION, preselected=4))) == ["4"]


def test_an_old_delivery_is_told_with_its_date(pages: SurveyPages) -> None:
    html = pages.render_question(replace(QUESTION, now=DELIVERED + timedelta(days=6)))
    assert "Hemlevererat tisdag 13 oktober 17:42" in Page(html).text


def test_the_time_is_told_in_the_zone_of_the_delivery(pages: SurveyPages) -> None:
    html = pages.render_question(replace(QUESTION, zone="Europe/Helsinki"))
    assert "tisdag 18:42" in Page(html).text


@pytest.mark.parametrize("method", ["in_home_code", "in_home_digital_lock", "other", "a_method_of_tomorrow"])
def test_a_sensitive_or_unknown_method_is_told_without_detail(pages: SurveyPages, method: str) -> None:
    assert "Levererat tisdag 17:42" in Page(pages.render_question(replace(QUESTION, method=method))).text


def test_a_delivery_without_a_shop_names_none(pages: SurveyPages) -> None:
    page = Page(pages.render_question(replace(QUESTION, merchant_name=None)))
    assert "Ditt paket" in page.text
    assert "Du betygsätter Nordposten Demo som levererade." in page.text
    assert "butiken" not in page.text


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", '"><svg/onload=alert(1)>', "</script><script>", "{{7*7}}", "{shop}"]
)
def test_a_hostile_shop_name_stays_text(pages: SurveyPages, name: str) -> None:
    page = Page(pages.render_question(replace(QUESTION, merchant_name=name, carrier=name)))
    assert f"Paket från {name}" in page.text
    assert not page.all("img")
    assert len(page.all("script")) == 1


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


def test_a_failed_save_keeps_the_choice_and_says_so(pages: SurveyPages) -> None:
    page = Page(pages.render_save_failed(replace(QUESTION, preselected=2)))
    (chosen,) = [radio for radio in page.all("input", name="score") if "checked" in radio]
    assert chosen["value"] == "2"
    assert page.all("div", role="alert")
    assert "hidden" not in page.all("p", **{"class": "notice"})[0]
    assert "Svaret är inte sparat än. Ditt val finns kvar här." in page.text
    assert "Försök igen" in page.text


def test_the_alert_is_hidden_until_something_failed(pages: SurveyPages) -> None:
    notices = Page(pages.render_question(QUESTION)).all("p", **{"class": "notice"})
    assert ["hidden" in notice for notice in notices] == [True, True]


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


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_unknown_page_tells_nothing_but_the_human_route(pages: SurveyPages, language: str) -> None:
    html = pages.render_unknown(language)
    page = Page(html)
    assert html == pages.render_unknown(language)
    assert not page.all("form")
    assert not page.all("input")
    assert page.all("a", href="tel:0846500410")
    assert "/r/" not in "".join(str(attrs) for _, attrs in page.tags)
    assert "token" not in html.decode().lower()


def test_the_page_for_a_very_new_link_can_be_loaded_again_and_its_script_does_so_after_two_seconds(
    pages: SurveyPages,
) -> None:
    assert Page(pages.render_not_ready("sv")).all("a", href="", **{"data-reload": "2"})
    assert not Page(pages.render_unknown("sv")).all("a", href="")
    for language in LANGUAGES:
        for html in every_page(pages, language).values():
            assert not Page(html).all("meta", **{"http-equiv": "refresh"})


def test_the_languages_are_links_and_the_current_one_is_marked(pages: SurveyPages) -> None:
    page = Page(pages.render_question(replace(QUESTION, language="en")))
    hrefs = [link["href"] for link in page.all("a") if "hreflang" in link]
    assert hrefs == ["?lang=sv", "?lang=nb", "?lang=da", "?lang=fi", "?lang=en", "?lang=de"]
    assert [link["lang"] for link in page.all("a", **{"aria-current": "true"})] == ["en"]


@pytest.mark.parametrize(
    ("occasion", "top", "question", "rated"),
    [
        (
            "home",
            "Paket från Fjällbod",
            "Hur gick leveransen?",
            "Nordposten Demo som levererade, inte butiken Fjällbod.",
        ),
        ("shop_pickup", "Paket från Fjällbod", "Hur gick hämtningen?", "Demo som levererade, inte butiken"),
        (
            "locker",
            "Paket från Fjällbod",
            "Hur gick det vid paketskåpet?",
            "Nordposten Demo som levererade, inte butiken",
        ),
        ("return", "Retur till Fjällbod Inlämnad tisdag 17:42", "Hur gick returen?", "som tog hand om returen."),
        ("enquiry", "Du kontaktade oss tisdag 17:42", "Hur gick ditt ärende?", "som du var i kontakt med."),
        (
            "damaged",
            "Paket från Fjällbod",
            "Hur hanterades skadan på paketet?",
            "hur Nordposten Demo tog hand om skadan.",
        ),
    ],
)
def test_each_touchpoint_has_its_own_question_and_says_who_is_rated(
    pages: SurveyPages, occasion: str, top: str, question: str, rated: str
) -> None:
    text = Page(pages.render_question(touchpoint_question(occasion, "sv"))).text
    assert top in text
    assert question in text
    assert rated in text


def test_a_pick_up_point_stands_on_top_by_name_and_may_be_the_party_that_is_rated(pages: SurveyPages) -> None:
    page = touchpoint_question("shop_pickup", "sv", method="service_point")
    assert "Hämtat hos Kiosken vid torget tisdag 17:42" in Page(pages.render_question(page)).text
    definition = replace(page.definition, rated=RatedParty.SERVICE_POINT)
    text = Page(pages.render_question(replace(page, definition=definition))).text
    assert "Du betygsätter Kiosken vid torget där du hämtade, inte Nordposten Demo som körde paketet." in text


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


OFFER = re.compile(rb'<section class="ruled">\s*<p><a class="review".*?</section>', re.DOTALL)


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


@pytest.mark.parametrize(
    ("language", "near", "far", "until"),
    [
        ("sv", "tisdag 17:42", "tisdag 13 oktober 17:42", "till och med 27 oktober"),
        ("nb", "tirsdag 17:42", "tirsdag 13. oktober 17:42", "til og med 27. oktober"),
        ("nn", "tysdag 17:42", "tysdag 13. oktober 17:42", "til og med 27. oktober"),
        ("da", "tirsdag 17.42", "tirsdag 13. oktober 17.42", "til og med 27. oktober"),
        ("fi", "tiistaina 17.42", "tiistaina 13. lokakuuta 17.42", "27. lokakuuta asti"),
        ("en", "Tuesday 17:42", "Tuesday 13 October 17:42", "until 27 October"),
        ("de", "Dienstag 17:42", "Dienstag, 13. Oktober 17:42", "bis 27. Oktober"),
    ],
)
def test_times_and_dates_are_written_as_the_language_writes_them(
    pages: SurveyPages, language: str, near: str, far: str, until: str
) -> None:
    page = replace(QUESTION, language=language)
    assert near in Page(pages.render_question(page)).text
    later = replace(page, now=DELIVERED + timedelta(days=6))
    assert far in Page(pages.render_question(later)).text
    assert until in Page(pages.render_done(replace(DONE, language=language))).text


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [
        ("sv", "i 1 dag.", "i 14 dagar."),
        ("nb", "i 1 dag.", "i 14 dager."),
        ("nn", "i 1 dag.", "i 14 dagar."),
        ("da", "i 1 dag.", "i 14 dage."),
        ("fi", "1 päivän ajan.", "14 päivän ajan."),
        ("en", "for 1 day.", "for 14 days."),
        ("de", "1 Tag lang ändern.", "14 Tage lang ändern."),
    ],
)
def test_one_day_and_many_days_have_their_own_words(language: str, one: str, many: str) -> None:
    page = replace(QUESTION, language=language)
    assert one in Page(SurveyPages(replace(SITE, edit_days=1)).render_question(page)).text
    assert many in Page(SurveyPages(SITE).render_question(page)).text
