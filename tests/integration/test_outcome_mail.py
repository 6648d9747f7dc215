"""Words to a person as a mail: in the person's language, and what a mail server's answers mean."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from services.survey.outcomes.message import Fate, Result, Writer
from services.survey.outcomes.smtp import OutcomeMail
from tests.mail_server import MailRoom, mail_server

pytestmark = pytest.mark.service("survey")


@asynccontextmanager
async def outcome_mail(room: MailRoom) -> AsyncIterator[OutcomeMail]:
    async with mail_server(room) as port:
        yield OutcomeMail("127.0.0.1", port, "Nordposten Demo <svar@nordposten.example>", 5)


MESSAGE = Writer.load("Nordposten Demo", "08-465 004 10").write(
    str(uuid.UUID(int=7)), "elin@mottagare.example", "fi", "K-7F3Q-2", "Muutimme kuormausta."
)


async def test_a_mail_server_gets_a_mail_in_the_persons_language_with_the_words_as_they_were_written() -> None:
    room = MailRoom()
    async with outcome_mail(room) as sender:
        assert await sender.send(MESSAGE) == Result(Fate.ACCEPTED)
    [(_, recipients, mail)] = room.mails
    assert recipients == ["elin@mottagare.example"]
    assert (mail["Subject"], mail["Content-Language"]) == ("Asia K-7F3Q-2: toimituksestasi", "fi")
    assert mail["Message-ID"] == "<00000000-0000-0000-0000-000000000007@nordposten.example>"
    assert mail.get_content().replace("\r\n", "\n") == (
        "Muutimme kuormausta.\n\nNordposten Demo\nPyysit yritystä Nordposten Demo ottamaan yhteyttä toimituksesta."
        " Vastaa tähän viestiin tai soita 08-465 004 10.\n"
    )


@pytest.mark.parametrize(
    ("rcpt", "data", "fate", "reason"),
    [
        ("550 unknown", "250 OK", Fate.REFUSED, "smtp_550"),
        ("554 5.7.1 relay access denied", "250 OK", Fate.REFUSED_FOR_NOW, "smtp_554"),
        ("530 log in first", "250 OK", Fate.REFUSED_FOR_NOW, "smtp_530"),
        ("450 later", "250 OK", Fate.REFUSED_FOR_NOW, "smtp_450"),
        ("250 OK", "554 no", Fate.REFUSED, "smtp_554"),
        ("250 OK", "552 5.3.4 too large", Fate.REFUSED, "smtp_552"),
        ("250 OK", "550 5.7.26 unauthenticated sender", Fate.REFUSED_FOR_NOW, "smtp_550"),
        ("250 OK", "550 5.1.8 bad sender", Fate.REFUSED_FOR_NOW, "smtp_550"),
        ("250 OK", "530 5.7.0 log in first", Fate.REFUSED_FOR_NOW, "smtp_530"),
        ("250 OK", "451 later", Fate.REFUSED_FOR_NOW, "smtp_451"),
    ],
)
async def test_what_a_mail_server_says_is_a_refusal(rcpt: str, data: str, fate: Fate, reason: str) -> None:
    async with outcome_mail(MailRoom(rcpt, data)) as sender:
        assert await sender.send(MESSAGE) == Result(fate, reason)


async def test_a_mail_server_that_refuses_our_sender_or_network_gives_no_words_up() -> None:
    class RefusesUs(MailRoom):
        async def handle_MAIL(self, *_: Any) -> str:  # noqa: N802
            return "553 sender not owned by you"

    async with outcome_mail(RefusesUs()) as sender:
        assert await sender.send(MESSAGE) == Result(Fate.REFUSED_FOR_NOW, "smtp_553")

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 your address is on a block list\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        blocked = await OutcomeMail("127.0.0.1", port, "a@b.example", 5).send(MESSAGE)
    assert blocked == Result(Fate.REFUSED_FOR_NOW, "smtp_554")


async def test_a_mail_server_that_hangs_up_on_the_data_leaves_a_doubt_and_one_that_is_away_none() -> None:
    class HangsUp(MailRoom):
        async def handle_DATA(self, server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
            server.transport.abort()
            return "250 OK"

    async with outcome_mail(HangsUp()) as sender:
        assert (await sender.send(MESSAGE)).fate is Fate.IN_DOUBT
    assert (await sender.send(MESSAGE)).fate is Fate.REFUSED_FOR_NOW


async def test_a_line_break_in_an_address_is_refused_before_anything_leaves() -> None:
    for address in ("elin@mottagare.example\r\nBcc: all@x.example", "elin@mottagåre.example"):
        bad = replace(MESSAGE, address=address)
        assert await OutcomeMail("127.0.0.1", 1, "a@b.example", 1).send(bad) == Result(Fate.REFUSED, "unwritable")
