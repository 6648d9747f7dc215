"""The preview of messages: on the terminal, as a file, and in the demo."""

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from services.chassis.environment import load_settings
from services.cli import app
from services.demo.messages import gallery_routes
from tests.asgi import Reply, ask

DEMO = Starlette(routes=gallery_routes(load_settings({})))


def preview(*words: str) -> str:
    done = CliRunner().invoke(app, ["messages", "preview", *words], env={"KVITTERA_PUBLIC_URL": "https://svar.example"})
    assert done.exit_code == 0, done.output
    return done.stdout


async def shown(path: str) -> Reply:
    return await ask(DEMO, "GET", path)


def test_the_preview_prints_what_was_chosen_with_the_link_host_of_the_settings() -> None:
    assert preview("--touchpoint", "locker", "--channel", "sms", "--language", "sv", "--merchant", "Linnegård") == (
        "[sv, locker, sms, 147 characters, 1 part]\n"
        "Nordposten Demo: Paket från Linnegård hämtat i skåp tisdag 14:00. Hur gick det? "
        "https://svar.example/r/0000000000000000000000 Frågor: 08-465 004 10\n\n"
    )
    reminder = preview("--touchpoint", "home", "--channel", "push", "--language", "en", "--reminder", "--co-brand")
    assert reminder == (
        "[en, home, push]\n"
        "Subject: Reminder: How did the delivery go?\n"
        "Nordposten Demo and Fjällbod: Reminder. Parcel from Fjällbod delivered on 13 October. "
        "You are rating Nordposten Demo, who delivered, not the shop Fjällbod. Questions: 08-465 004 10\n"
        "Leads to: https://svar.example/r/0000000000000000000000\n\n"
    )


def test_without_a_choice_everything_is_printed() -> None:
    headings = re.findall(r"^\[(\w+), (\w+), (\w+)", preview(), re.MULTILINE)
    assert len(headings) == 7 * 6 * 5


@pytest.mark.parametrize("words", [("--language", "fr"), ("--channel", "fax"), ("--touchpoint", "drone")])
def test_what_does_not_exist_is_refused_with_what_does(words: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["messages", "preview", *words])
    assert done.exit_code == 2
    assert "is one of" in done.output


def test_the_preview_as_a_file_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "messages.html"
    preview("--language", "sv", "--html", str(file), "--merchant", "<b>Fjällbod</b>")
    page = file.read_text(encoding="utf-8")
    assert page.count("srcdoc=") == 6
    assert "<b>" not in page
    assert not re.search(r"<script|<link(?! rel=\"icon\" href=\"data:)|@import| src=", page)


async def test_the_demos_gallery_shows_a_language_with_what_is_switched_on() -> None:
    page = await shown("/demo/messages?language=nb&reminder=1")
    assert page.status == 200
    assert page.text.count('lang="nb"') == 6 * 5
    assert "Påminnelse: Hvordan gikk leveringen?" in page.text
    assert '<option value="nb" selected>' in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    mails = re.findall(r'src="(/demo/messages/mail[^"]+)"', page.text)
    assert len(mails) == 6
    mail = await shown(mails[0])
    assert "Påminnelse: Hvordan gikk leveringen?" in mail.text
    assert mail.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_demos_gallery_takes_any_address_without_an_error() -> None:
    assert (await shown("/demo/messages?language=xx&reminder=x&co_brand=1&no_shop=1&disrupted=1")).status == 200
    assert (await shown("/demo/messages/mail?occasion=drone")).status == 404
