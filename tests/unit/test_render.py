"""What the messages say: one link, who is rated, and how to reach a person."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import ChannelKind
from services.chassis.catalogues import placeholders, read_catalogue
from services.notifier.channels.segments import in_gsm7
from services.notifier.policy import LANGUAGES
from services.notifier.render import Invitation, Renderer, Sender
from tests.builders import NOON

TOKEN = "Qk7rW2pXz9Lm4Tn8Vb3Yc6"
LINK = f"https://svar.nordposten.example/r/{TOKEN}"
SENDER = Sender("Nordposten", "08-465 004 10", "hjalp@nordposten.example", "https://svar.nordposten.example/")
RENDERER = Renderer(SENDER)
LOCALES = Path(__file__).parents[2] / "services" / "notifier" / "locales"
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
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_swedish_sms_says_who_what_when_where_to_answer_and_whom_to_call() -> None:
    message = RENDERER.render(invitation())
    assert message.text == (
        f"Nordposten: Paket från Fjällbod levererat tisdag 14:00. Hur gick det? {LINK} Frågor: 08-465 004 10"
    )
    assert (message.reference, message.fence, message.address) == ("ref-1", 3, "+46701740634")
    assert message.html is None


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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(ChannelKind))
@pytest.mark.parametrize("shop", ["Fjällbod", None])
def test_every_message_has_exactly_one_link_and_it_is_ours(kind: ChannelKind, language: str, shop: str | None) -> None:
    message = RENDERER.render(invitation(kind, language, shop))
    assert re.findall(r"https?://\S+", message.text) == [LINK]
    assert message.link == LINK


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
    assert set(html.tags) == {"html", "body", "h1", "p", "a"}
    assert html.text.count(shop) == 2


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
