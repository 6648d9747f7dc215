"""E-mail over a real SMTP server: what is a refusal, what is a doubt, and what a mail looks like."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.delivery import ChannelKind
from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.app import choose_channel
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.mail import MailForm, reference_of_bounce
from services.notifier.channels.smtp import Smtp, SmtpTable
from services.notifier.channels.viewer import OutboxViewer
from services.notifier.render import Invitation, Renderer, Sender
from tests.builders import NOON
from tests.channel_kit import LINKS
from tests.mail_server import MailRoom, mail_server

LINK = "http://127.0.0.1:8602/r/Qk7rW2pXz9Lm4Tn8Vb3Yc6"
SEAL = Seal(b"s" * 32)
MESSAGE = Renderer(
    Sender("Nordposten Demo", "08-465 004 10", "hjalp@nordposten.example", "http://127.0.0.1:8602")
).render(
    Invitation(
        "0198c0de-0000-7000-8000-000000000001",
        1,
        ChannelKind.EMAIL,
        "astrid@mottagare.example",
        "Qk7rW2pXz9Lm4Tn8Vb3Yc6",
        "sv",
        "Fjällbod",
        NOON,
        "Europe/Stockholm",
    )
)


@asynccontextmanager
async def hostile_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server that speaks by hand."""
    done: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        done.append(task)
        try:
            await talk(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in done:
            task.cancel()
        await asyncio.gather(*done, return_exceptions=True)


async def talk_until(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, last: bytes, answer_last: bytes | None
) -> None:
    """Be a friendly server until the client says `last`."""
    writer.write(b"220 here\r\n")
    while line := await reader.readline():
        verb = line[:4].upper().strip()
        if verb == last:
            if answer_last is not None:
                writer.write(answer_last)
                await writer.drain()
            return
        writer.write(b"250 yes\r\n")


def smtp(port: int, timeout: float = 5, **more: Any) -> Smtp:
    sender = "Nordposten Demo <svar@nordposten.example>"
    table = SmtpTable(
        name="smtp", host="127.0.0.1", port=port, security="auto", sender=sender, timeout_seconds=timeout, **more
    )
    return Smtp(table, MailForm(sender, "Nordposten Demo", "smtp"))


async def test_an_accepted_mail_is_complete(caplog: pytest.LogCaptureFixture) -> None:
    room = MailRoom()
    async with mail_server(room) as port:
        assert await smtp(port).send(MESSAGE) == Result(Fate.ACCEPTED)
    [(sender, recipients, mail)] = room.mails
    assert (sender, recipients) == ("svar@nordposten.example", ["astrid@mottagare.example"])
    assert mail["From"] == "Nordposten Demo <svar@nordposten.example>"
    assert mail["To"] == "astrid@mottagare.example"
    assert mail["Subject"] == "Hur gick leveransen?"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "sv"
    assert MESSAGE.reference in mail["Message-ID"]
    assert mail["Date"].datetime - datetime.now(UTC) < timedelta(minutes=1)
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n").rstrip("\n") == MESSAGE.text
    assert text.get_content().count(LINK) == 1
    assert html.get_content().count(f'href="{LINK}?s=') == 5
    assert room.raw[0].isascii()
    assert "astrid" not in caplog.text


@pytest.mark.parametrize(
    ("to_rcpt", "expected"),
    [
        ("550 no such mailbox", Result(Fate.REFUSED, "smtp_550", 300)),
        ("451 greylisted", Result(Fate.REFUSED_FOR_NOW, "smtp_451", 300)),
        ("421 closing", Result(Fate.REFUSED_FOR_NOW, "smtp_421", 300)),
    ],
)
async def test_what_is_refused_before_data_is_a_refusal(to_rcpt: str, expected: Result) -> None:
    room = MailRoom(to_rcpt=to_rcpt)
    async with mail_server(room) as port:
        assert await smtp(port).send(MESSAGE) == expected
    assert room.mails == []


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (b"", b"554 5.7.1 your address is on a block list\r\n"),
        (b"", b"521 takes no mail\r\n"),
        (b"EHLO", b"550 no such name\r\n"),
        (b"MAIL", b"530 authentication required\r\n"),
        (b"MAIL", b"553 sender not owned by you\r\n"),
        (b"RCPT", b"554 5.7.1 relay access denied\r\n"),
        (b"DATA", b"554 not from you\r\n"),
    ],
)
async def test_what_a_server_refuses_because_of_us_waits_and_ends_no_request(at: bytes, said: bytes) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n" if at else said)
        while at and (line := await reader.readline()):
            writer.write(said if at in (line[:4], b"EHLO") else b"250 yes\r\n")

    async with hostile_server(refuse) as port:
        expected = Result(Fate.REFUSED_FOR_NOW, f"smtp_{said[:3].decode()}", 300)
        assert await smtp(port).send(MESSAGE) == expected


@pytest.mark.parametrize(
    ("to_data", "expected"),
    [
        ("554 spam", Result(Fate.REFUSED, "smtp_554", 300)),
        ("552 5.3.4 too large", Result(Fate.REFUSED, "smtp_552", 300)),
        ("550 5.7.26 unauthenticated sender", Result(Fate.REFUSED_FOR_NOW, "smtp_550", 300)),
        ("550 5.1.8 bad sender", Result(Fate.REFUSED_FOR_NOW, "smtp_550", 300)),
        ("452 full", Result(Fate.REFUSED_FOR_NOW, "smtp_452", 300)),
    ],
)
async def test_a_definite_no_to_the_content_is_a_refusal_unless_it_judges_us(to_data: str, expected: Result) -> None:
    async with mail_server(MailRoom(to_data=to_data)) as port:
        assert await smtp(port).send(MESSAGE) == expected


async def test_nobody_listening_is_a_refusal_for_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = await smtp(port).send(MESSAGE)
    assert (result.fate, result.again_after) == (Fate.REFUSED_FOR_NOW, 30)


async def test_a_server_that_hangs_before_data_is_a_refusal_for_now() -> None:
    async def hang_at_rcpt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk_until(reader, writer, b"RCPT", None)
        await asyncio.Event().wait()

    async with hostile_server(hang_at_rcpt) as port:
        assert (await smtp(port, 0.3).send(MESSAGE)).fate is Fate.REFUSED_FOR_NOW


async def test_a_server_that_answers_every_command_slowly_cannot_outlast_the_lease() -> None:
    heard: list[bytes] = []

    async def dawdle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            heard.append(line)
            await asyncio.sleep(0.2)
            writer.write(b"250 yes\r\n")

    async with hostile_server(dawdle) as port:
        assert (await smtp(port, 0.3).send(MESSAGE)).fate is Fate.REFUSED_FOR_NOW
    assert len(heard) <= 2  # each command alone would be in time


async def test_a_server_that_hangs_after_the_content_leaves_a_doubt() -> None:
    async def hang_after_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk_until(reader, writer, b"DATA", b"354 go on\r\n")
        await asyncio.Event().wait()

    async with hostile_server(hang_after_data) as port:
        assert (await smtp(port, 0.3).send(MESSAGE)).fate is Fate.IN_DOUBT


async def test_a_server_that_drips_its_last_answer_leaves_a_doubt_in_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk_until(reader, writer, b"DATA", b"354 go on\r\n")
        while True:
            writer.write(b"250-")
            await asyncio.sleep(0.1)

    async with hostile_server(drip) as port, asyncio.timeout(30):
        assert (await smtp(port, 0.3).send(MESSAGE)).fate is Fate.IN_DOUBT


@pytest.mark.parametrize("answer", [b"354 go on\r\n", b"354 go on\r\nwhat?\r\n"])
async def test_a_connection_that_breaks_after_data_leaves_a_doubt(answer: bytes) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk_until(reader, writer, b"DATA", answer)
        await reader.readline()
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with hostile_server(reset) as port:
        assert (await smtp(port).send(MESSAGE)).fate is Fate.IN_DOUBT


async def test_a_server_that_breaks_off_while_saying_goodbye_has_the_mail() -> None:
    async def accept_and_vanish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk_until(reader, writer, b"DATA", b"354 go on\r\n")
        while await reader.readline() not in {b".\r\n", b""}:
            pass
        writer.write(b"250 kept\r\n")
        await reader.readline()

    async with hostile_server(accept_and_vanish) as port:
        assert await smtp(port).send(MESSAGE) == Result(Fate.ACCEPTED)


@pytest.mark.parametrize(
    "changed",
    [
        {"address": "åsa@mottagare.example"},
        {"address": "asa@mottagare.example\r\nBcc: alla@mottagare.example"},
        {"subject": "Hej\r\nBcc: alla@mottagare.example"},
        {"text": "\ud800"},
    ],
)
async def test_a_mail_that_cannot_be_written_is_refused_before_anybody_is_called(changed: dict[str, str]) -> None:
    room = MailRoom()
    broken: Message = replace(MESSAGE, **changed)  # type: ignore[arg-type]  # only texts are changed
    async with mail_server(room) as port:
        assert await smtp(port).send(broken) == Result(Fate.REFUSED, "smtp_unwritable")
    assert room.mails == []


async def test_lines_that_begin_with_a_dot_arrive_whole() -> None:
    room = MailRoom()
    async with mail_server(room) as port:
        await smtp(port).send(replace(MESSAGE, text="Ett\n.\n..två", html=None))
    assert room.mails[0][2].get_content().replace("\r\n", "\n") == "Ett\n.\n..två\n"


async def test_smtp_cannot_be_asked_what_became_of_a_mail() -> None:
    assert await smtp(1).look_up("ref-1") is None


def test_real_people_are_reached_only_with_a_permission(settings: Settings) -> None:
    live = settings.model_copy(update={"channel": "smtp", "live_sending_until": None})
    with pytest.raises(MustStop, match="KVITTERA_LIVE_SENDING_UNTIL"):
        choose_channel(live, None, SEAL, Metrics())  # type: ignore[arg-type]  # no pool is needed to refuse


def test_with_a_permission_mails_are_sent(settings: Settings) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    live = settings.model_copy(update={"channel": "smtp", "live_sending_until": until})
    assert isinstance(choose_channel(live, None, SEAL, Metrics()), Smtp)  # type: ignore[arg-type]  # mails need no pool


async def test_by_default_nobody_outside_is_reached(settings: Settings, notifier_pool: Pool) -> None:
    assert isinstance(choose_channel(settings, notifier_pool, SEAL, Metrics()), OutboxViewer)


VERP = MailForm(
    "Nordposten Demo <svar@nordposten.example>", "Nordposten Demo", "post", "studs@nordposten.example", LINKS
)
UNSUBSCRIBE = f"https://svar.nordposten.example/unsubscribe/{'Aa0_-' * 24}"


async def test_a_mail_tells_how_to_unsubscribe_with_one_click_and_where_bounces_go() -> None:
    room = MailRoom()
    async with mail_server(room) as port:
        channel = Smtp(SmtpTable(name="post", host="127.0.0.1", port=port, security="off", sender=VERP.sender), VERP)
        await channel.send(replace(MESSAGE, unsubscribe=UNSUBSCRIBE))
        await channel.close()
    [(sender, _, mail)] = room.mails
    assert f"List-Unsubscribe: <{UNSUBSCRIBE}>\r\n".encode() in room.raw[0]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Feedback-ID"] == "delivery:sv:post:nordposten.example"
    assert re.fullmatch(r"studs\+0198c0de000070008000000000000001\.[0-9a-f]{16}@nordposten\.example", sender)
    assert len(sender.partition("@")[0]) <= 64
    assert reference_of_bounce(sender, "post", LINKS) == MESSAGE.reference
    assert reference_of_bounce(sender.upper(), "post", LINKS) == MESSAGE.reference


@pytest.mark.parametrize(
    "address", ["", "studs@nordposten.example", "studs+0198c0de000070008000000000000001.0000000000000000@x.example"]
)
def test_a_bounce_address_that_we_did_not_make_belongs_to_no_message(address: str) -> None:
    assert reference_of_bounce(address, "post", LINKS) is None


async def test_mails_share_a_connection_and_a_dead_one_is_replaced_without_a_doubt() -> None:
    room = MailRoom()
    async with mail_server(room) as port:
        channel = smtp(port)
        assert [(await channel.send(MESSAGE)).fate for _ in range(3)] == [Fate.ACCEPTED] * 3
        assert len({session for session, *_ in room.sessions}) == 1
        channel._idle[0].close()
        assert await channel.send(MESSAGE) == Result(Fate.ACCEPTED)
        await channel.close()
    assert len(room.mails) == 4


async def test_a_server_without_encryption_is_refused_for_now_where_encryption_is_asked_for() -> None:
    room = MailRoom()
    async with mail_server(room) as port:
        channel = Smtp(SmtpTable(name="post", host="127.0.0.1", port=port, sender=VERP.sender), VERP)
        assert (await channel.send(MESSAGE)).fate is Fate.REFUSED_FOR_NOW
    assert room.mails == []


@pytest.mark.parametrize(("password", "expected"), [("right", Fate.ACCEPTED), ("wrong", Fate.REFUSED_FOR_NOW)])
async def test_a_log_in_that_fails_is_our_trouble_and_costs_no_recipient_the_question(
    password: str, expected: Fate
) -> None:
    room = MailRoom()
    async with mail_server(room, password="right") as port:
        table = SmtpTable(
            name="post", host="127.0.0.1", port=port, security="off", sender=VERP.sender, username="kvittera"
        )
        channel = Smtp(table, VERP, password)
        assert (await channel.send(MESSAGE)).fate is expected
        await channel.close()
    assert len(room.mails) == (1 if expected is Fate.ACCEPTED else 0)


async def test_a_server_that_offers_pipelining_gets_each_mail_in_two_writes() -> None:
    heard: list[bytes] = []

    async def pipelined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        heard.append(await reader.readline())
        writer.write(b"250-here\r\n250 PIPELINING\r\n")
        for _ in range(2):
            heard.extend([await reader.readline() for _ in range(3)])  # all three before any is answered
            writer.write(b"250 ok\r\n250 ok\r\n354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 kept\r\n")
        heard.append(await reader.readline())
        writer.write(b"221 bye\r\n")

    async with hostile_server(pipelined) as port:
        channel = smtp(port)
        assert [(await channel.send(MESSAGE)).fate for _ in range(2)] == [Fate.ACCEPTED] * 2
        await channel.close()
    verbs = [line[:4].strip() for line in heard]
    assert verbs == [b"EHLO", *[b"MAIL", b"RCPT", b"DATA"] * 2, b"QUIT"]
