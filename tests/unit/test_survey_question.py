"""The question: who is rated, when it was, and five faces with words, by touchpoint and language."""

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.response import RatedParty
from services.survey.recipient.rendering import (
    SurveyPages,
)
from tests.page_reader import Page
from tests.recipient_pages import (
    DELIVERED,
    DONE,
    QUESTION,
    SITE,
    TOKEN,
    touchpoint_question,
)


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


def test_the_alert_is_hidden_until_something_failed(pages: SurveyPages) -> None:
    notices = Page(pages.render_question(QUESTION)).all("p", **{"class": "notice"})
    assert ["hidden" in notice for notice in notices] == [True, True]


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
