"""The page of a kiosk: small, in every language, without a key, and guarded."""

import re
from datetime import timedelta

import pytest
from starlette.applications import Starlette

from services.survey.languages import LANGUAGES
from services.survey.recipient.kiosk_page import KioskPage
from tests.asgi import ask

APP = Starlette(routes=[KioskPage("Nordposten <Demo>", timedelta(seconds=1.5)).route()])


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_shows_five_faces_with_words_in_every_language(language: str) -> None:
    reply = await ask(APP, "GET", f"/kiosk?lang={language}")
    page = reply.body.decode()
    assert reply.status == 200
    assert f'<html lang="{language}">' in page
    assert re.findall(r'data-score="(\d)"', page) == ["1", "2", "3", "4", "5"]
    assert "Nordposten &lt;Demo&gt;" in page
    assert len(reply.body) < 30_000


async def test_the_page_knows_for_how_long_a_tap_corrects_the_one_before() -> None:
    assert 'data-debounce="1500"' in (await ask(APP, "GET", "/kiosk")).text


async def test_the_language_is_the_persons_or_a_fallback() -> None:
    assert "Hur gick hämtningen?" in (await ask(APP, "GET", "/kiosk", headers=[("accept-language", "sv-SE")])).text
    for nonsense in ("xx", "../sv", "%00", ""):
        assert (await ask(APP, "GET", f"/kiosk?lang={nonsense}")).status == 200


async def test_the_page_may_load_nothing_and_be_framed_by_nobody() -> None:
    reply = await ask(APP, "GET", "/kiosk?lang=sv&key=kv_abcdefghij_secret")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "kv_abcdefghij" not in reply.text


async def test_nothing_can_be_posted_to_the_page() -> None:
    assert (await ask(APP, "POST", "/kiosk")).status == 405
