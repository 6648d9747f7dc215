"""What the messages say: one link, who is rated, and how to reach a person."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import ChannelKind
from services.chassis.catalogues import read_catalogue
from services.chassis.segments import in_gsm7, segments
from services.notifier.gallery import Choice, samples
from services.notifier.mail.compiling import SOURCE, compiled
from services.notifier.phrasing import OCCASIONS, occasion_of
from services.notifier.policy import LANGUAGES
from services.notifier.render import FRAME, Invitation, Renderer, Sender
from tests.builders import NOON
from tests.messages import FOLDER, written
from tests.plain_words import placeholders

TOKEN = "Qk7rW2pXz9Lm4Tn8Vb3Yc6"
LINK = f"https://svar.nordposten.example/r/{TOKEN}"
SENDER = Sender("Nordposten", "08-465 004 10", "hjalp@nordposten.example", "https://svar.nordposten.example/")
RENDERER = Renderer(SENDER)
LOCALES = Path(__file__).parents[2] / "services" / "notifier" / "locales"
WORDS = {language: read_catalogue(LOCALES, language, "messages") for language in LANGUAGES}
GSM_7 = set(
    "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)


def invitation(
    kind: ChannelKind = ChannelKind.SMS,
    language: str = "sv",
    shop: str | None = "Fjällbod",
    zone: str = "Europe/Stockholm",
) -> Invitation:
    return Invitation("ref-1", 3, kind, "+46701740634", TOKEN, language, shop, NOON, zone)


class Links(HTMLParser):
    """What a reader of the mail has: tags, addresses, and the text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shown = [True]
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.lines: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in {"style", "title"}:
            self.shown.append(False)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "title"}:
            self.shown.pop()

    def handle_data(self, data: str) -> None:
        if self.shown[-1]:
            self.text += data
            self.lines += [data.strip()] if data.strip() else []


FRAME_TAGS = {
    "html",
    "head",
    "title",
    "meta",
    "style",
    "body",
    "div",
    "table",
    "tbody",
    "tr",
    "td",
    "h1",
    "strong",
    "a",
}


def test_a_swedish_sms_says_who_what_when_where_to_answer_and_whom_to_call() -> None:
    message = RENDERER.render(invitation())
    assert message.text == (
        f"Nordposten: Paket från Fjällbod levererat tisdag 14:00. Hur gick det? {LINK} Frågor: 08-465 004 10"
    )
    assert (message.reference, message.fence, message.address) == ("ref-1", 3, "+46701740634")
    assert message.html is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_messages_read_as_they_were_last_agreed(language: str) -> None:
    agreed = (FOLDER / f"{language}.txt").read_text(encoding="utf-8")
    assert written(language) == agreed, "if this is wanted: python -m tests.messages, and read the difference"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_request_by_text_message_is_one_part_at_every_touchpoint(language: str) -> None:
    for shop in ("Fjällbod", ""):
        shown = samples(RENDERER, Choice(languages=(language,), channels=("sms",), merchant=shop))
        assert [s.occasion for s in shown if s.parts != 1] == []


def test_a_text_message_leaves_the_shop_out_before_it_costs_a_second_part() -> None:
    long = "Fjällbods Friluftsliv i Östersund"
    message = RENDERER.render(invitation(shop=long)).text
    assert message.startswith("Nordposten: Ditt paket levererat tisdag 14:00.")
    assert segments(message) == 1
    assert long in RENDERER.render(invitation(ChannelKind.EMAIL, shop=long)).text


def test_each_touchpoint_has_its_own_question_and_says_what_happened() -> None:
    told = {}
    for occasion in OCCASIONS:
        message = RENDERER.render(replace(invitation(shop=None), occasion=occasion))
        told[occasion] = (message.subject, message.text.removeprefix("Nordposten: ").partition(" http")[0])
    assert told == {
        "home": ("Hur gick leveransen?", "Ditt paket levererat tisdag 14:00. Hur gick det?"),
        "shop_pickup": ("Hur gick hämtningen?", "Ditt paket hämtat tisdag 14:00. Hur gick det?"),
        "locker": ("Hur gick det vid paketskåpet?", "Ditt paket hämtat i skåp tisdag 14:00. Hur gick det?"),
        "return": ("Hur gick returen?", "Din retur inlämnad tisdag 14:00. Hur gick det?"),
        "enquiry": ("Hur gick ditt ärende?", "Du kontaktade oss tisdag 14:00. Hur gick det?"),
        "damaged": (
            "Hur hanterades skadan på paketet?",
            "Ditt paket kom fram skadat tisdag 14:00. Hur hanterades det?",
        ),
    }


@pytest.mark.parametrize(
    ("touchpoint", "exceptions", "occasion"),
    [
        ("locker", [], "locker"),
        ("locker", ["partial"], "locker"),
        ("locker", ["damaged"], "damaged"),
        ("drone", [], "home"),
        ("", [], "home"),
    ],
)
def test_a_message_is_about_the_damage_first_and_then_about_the_touchpoint(
    touchpoint: str, exceptions: list[str], occasion: str
) -> None:
    assert occasion_of(touchpoint, exceptions) == occasion


def test_a_reminder_says_so_and_tells_the_date_since_weekdays_come_again() -> None:
    reminder = RENDERER.render(replace(invitation(), reminder=True))
    assert reminder.subject == "Påminnelse: Hur gick leveransen?"
    assert reminder.text.startswith("Nordposten: Påminnelse. Ditt paket levererat den 13 oktober. Hur")
    mail = RENDERER.render(replace(invitation(ChannelKind.EMAIL), reminder=True))
    assert mail.text.startswith(
        "Nordposten\n\nPåminnelse: Hur gick leveransen?\n\nPaket från Fjällbod levererat den 13"
    )


def test_a_shop_that_asks_too_is_named_beside_the_carrier_and_is_still_not_the_one_rated() -> None:
    asked = replace(invitation(), co_brand="Fjällbod")
    assert RENDERER.render(asked).text.startswith("Nordposten och Fjällbod: Ditt paket levererat tisdag 14:00.")
    mail = RENDERER.render(replace(asked, kind=ChannelKind.EMAIL))
    assert mail.text.startswith("Nordposten och Fjällbod\n\n")
    assert "Du betygsätter Nordposten som levererade, inte butiken Fjällbod." in mail.text
    assert RENDERER.render(replace(asked, co_brand="書店")).text.startswith("Nordposten: ")


def test_a_disruption_is_told_in_the_words_given_or_in_the_standard_ones() -> None:
    def told(notice: str | None) -> str:
        return RENDERER.render(replace(invitation(shop=None), notice=notice)).text.partition(" Hur gick")[0]

    assert told(None) == "Nordposten: Ditt paket levererat tisdag 14:00."
    assert told("Kraftigt regn") == "Nordposten: Ditt paket levererat tisdag 14:00. Kraftigt regn."
    assert told("Vägen var stängd.") == "Nordposten: Ditt paket levererat tisdag 14:00. Vägen var stängd."
    assert told("") == "Nordposten: Ditt paket levererat tisdag 14:00. Leveranserna var störda då."


def test_the_mails_html_is_what_its_mjml_compiles_to() -> None:
    assert FRAME.read_text(encoding="utf-8") == compiled(SOURCE.read_text(encoding="utf-8")), "run make mail"


def test_what_is_no_mjml_is_refused() -> None:
    for text in ("<mjml><mj-body>", "no mail at all"):
        with pytest.raises(ValueError, match=r"template|root"):
            compiled(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_html_of_a_mail_says_what_its_text_says(language: str) -> None:
    for sent in samples(RENDERER, Choice(languages=(language,), channels=("email",), co_brand=True, notice="Storm")):
        html = Links(sent.message.html or "")
        faces = [WORDS[language][f"face.{n}"] for n in (1, 2, 3, 4, 5)]
        lines = [line.removesuffix(f": {sent.message.link.strip()}") for line in sent.message.text.split("\n\n")]
        preview, *shown = html.lines
        assert lines[2].startswith(preview)
        assert shown == [*lines[:5], *faces, *lines[5:]]


def test_a_mail_is_small_enough_for_every_mail_program_and_loads_nothing() -> None:
    largest = max(len((s.message.html or "").encode()) for s in samples(RENDERER, Choice(channels=("email",))))
    assert largest < 16_000  # Gmail cuts a mail at 102 kB
    frame = FRAME.read_text(encoding="utf-8")
    styles = re.findall(r"<style[^>]*>(.*?)</style>", frame, re.DOTALL)
    assert sum(map(len, styles)) < 8_192  # Gmail drops a style block that is larger
    assert not re.search(r"<img|<link|@import|url\(|<script", frame)


def test_a_mail_has_colours_for_the_dark() -> None:
    frame = FRAME.read_text(encoding="utf-8")
    assert '<meta name="color-scheme" content="light dark"' in frame
    assert "@media (prefers-color-scheme: dark)" in frame


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("nb", "Pakke fra Fjällbod levert tirsdag 14:00. Hvordan gikk det? | Spørsmål: "),
        ("nn", "Pakke frå Fjällbod levert tysdag 14:00. Korleis gjekk det? | Spørsmål: "),
        ("da", "Pakke fra Fjällbod leveret tirsdag 14.00. Hvordan gik det? | Spørgsmål: "),
        ("fi", "Paketti kaupasta Fjällbod toimitettu tiistaina 14.00. Miten se sujui? | Apua: "),
        ("en", "Parcel from Fjällbod delivered Tuesday 14:00. How did it go? | Questions: "),
        ("de", "Paket von Fjällbod, zugestellt Dienstag 14:00. Wie lief es? | Fragen: "),
    ],
)
def test_an_sms_is_in_the_recipients_language_and_one_message_long(language: str, words: str) -> None:
    text = RENDERER.render(invitation(language=language)).text
    assert text == f"Nordposten: {words.replace('|', LINK)}08-465 004 10"
    assert len(text) <= 160


INVITATIONS = st.builds(
    Invitation,
    reference=st.just("ref-1"),
    fence=st.just(3),
    kind=st.sampled_from(ChannelKind),
    address=st.just("+46701740634"),
    token=st.just(TOKEN),
    language=st.sampled_from(LANGUAGES),
    merchant_name=st.none() | st.text(max_size=60) | st.sampled_from(["www.fjallbod.example", "https://a.example/x"]),
    occurred_at=st.just(NOON),
    zone=st.just("Europe/Stockholm"),
    occasion=st.sampled_from(OCCASIONS),
    co_brand=st.none() | st.text(max_size=60) | st.sampled_from(["HTTP://b.example", "Fjällbod"]),
    notice=st.none()
    | st.text(max_size=80)
    | st.sampled_from(["Mer: https://c.example/storm", "hthttp://tp://d.example"]),
    reminder=st.booleans(),
)


@given(INVITATIONS)
def test_every_message_has_exactly_one_link_and_it_is_ours(sent: Invitation) -> None:
    message = RENDERER.render(sent)
    in_text = [LINK] if sent.kind in {ChannelKind.EMAIL, ChannelKind.SMS} else []
    assert re.findall(r"(?:https?://|www\.)\S*", message.text, re.IGNORECASE) == in_text
    assert not re.search(r"://|www\.", message.told + message.asker + message.subject, re.IGNORECASE)
    assert message.link == LINK
    if message.html is not None:
        assert set(Links(message.html).links) == {f"{LINK}?s={n}" for n in (1, 2, 3, 4, 5)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_html_mail_links_only_to_the_recipients_own_page_a_face_each(language: str) -> None:
    html = Links(RENDERER.render(invitation(ChannelKind.EMAIL, language)).html or "")
    assert html.links == [f"{LINK}?s={n}" for n in (1, 2, 3, 4, 5)]
    assert "img" not in html.tags
    assert "script" not in html.tags


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(ChannelKind))
def test_every_message_names_who_is_rated_and_a_human_route(kind: ChannelKind, language: str) -> None:
    message = RENDERER.render(invitation(kind, language))
    for part in filter(None, (message.text, message.html)):
        assert "Nordposten" in part
        assert "Fjällbod" in part
        assert "08-465 004 10" in part


def test_every_language_has_the_same_words_with_the_same_placeholders() -> None:
    swedish = read_catalogue(LOCALES, "sv", "messages")
    assert sorted(p.name for p in LOCALES.iterdir()) == sorted(LANGUAGES)
    for language in LANGUAGES:
        words = read_catalogue(LOCALES, language, "messages")
        assert words.keys() == swedish.keys()
        assert {k: placeholders(v) for k, v in words.items()} == {k: placeholders(v) for k, v in swedish.items()}
        assert all(words.values())


@pytest.mark.parametrize(
    "shop", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "R&D <b>fet</b>", "{brand}{0}%s"]
)
def test_a_shops_name_is_text_and_never_markup_or_a_template(shop: str) -> None:
    html = Links(RENDERER.render(invitation(ChannelKind.EMAIL, shop=shop)).html or "")
    assert set(html.tags) <= FRAME_TAGS
    assert html.text.count(shop) == 3  # the fact, its preview in the inbox, and who is not rated


def test_the_time_is_the_recipients_own() -> None:
    assert "tisdag 17:45" in RENDERER.render(invitation(zone="Asia/Kathmandu")).text
    assert "tisdag 05:00" in RENDERER.render(invitation(zone="America/Los_Angeles")).text


@pytest.mark.parametrize(
    ("given_text", "spelled"),
    [
        ("Åhléns på Söder", "Åhléns på Söder"),
        ("Müller – “Kök”…", 'Müller - "Kök"...'),
        ("Čapek Łódź", "Capek Lodz"),
        ("Zoë's\u00a0Garn", "Zoe's Garn"),
        ("Bok 📚 Kafé", "Bok Kafé"),
        ("書店", ""),
    ],
)
def test_text_is_spelled_with_the_cheap_letters(given_text: str, spelled: str) -> None:
    assert in_gsm7(given_text) == spelled


def test_a_shop_whose_name_cannot_be_spelled_is_left_out_of_the_sms() -> None:
    assert RENDERER.render(invitation(shop="書店")).text.startswith("Nordposten: Ditt paket levererat tisdag")
    assert "書店" in RENDERER.render(invitation(ChannelKind.EMAIL, shop="書店")).text


@given(st.text(max_size=120), st.sampled_from(LANGUAGES))
def test_no_shop_makes_an_sms_expensive_or_moves_its_link(shop: str, language: str) -> None:
    text = RENDERER.render(invitation(language=language, shop=shop)).text
    assert set(text) <= GSM_7
    assert LINK in text
    assert text.endswith("08-465 004 10")
