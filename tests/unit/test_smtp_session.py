"""The dialogue over one SMTP connection: which commands go together, and what each reply means for the mail."""

import asyncio
from dataclasses import replace

import pytest

from services.notifier.channels.mail import MailForm, written
from services.notifier.channels.smtp_session import LostError, RefusedError, SmtpSession, dotted
from tests.channel_kit import SMS


class Wire(asyncio.Transport):
    """A transport that answers each write with the next bytes of its script."""

    def __init__(self, *script: bytes) -> None:
        super().__init__()
        self.script = list(script)
        self.written: list[bytes] = []
        self.is_open = True
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return not self.is_open

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        if self.script:
            assert isinstance(self.protocol, asyncio.Protocol)
            asyncio.get_running_loop().call_soon(self.protocol.data_received, self.script.pop(0))

    def abort(self) -> None:
        self.is_open = False


def soon(seconds: float = 60) -> float:
    return asyncio.get_running_loop().time() + seconds


async def addressed(wire: Wire, *, pipelines: bool, seconds: float = 60) -> None:
    await SmtpSession(wire, pipelines=pipelines).address(b"svar@a.example", b"r@b.example", soon(seconds))


MAIL, RCPT, DATA = b"MAIL FROM:<svar@a.example>\r\n", b"RCPT TO:<r@b.example>\r\n", b"DATA\r\n"


async def test_a_server_that_takes_several_commands_at_once_gets_them_so() -> None:
    wire = Wire(b"250 ok\r\n250-first\r\n250 second\r\n354 go on\r\n")
    await addressed(wire, pipelines=True)
    assert wire.written == [MAIL + RCPT + DATA]


async def test_any_other_server_gets_one_command_after_the_other() -> None:
    wire = Wire(b"250 ok\r\n", b"250-first\r\n250 second\r\n", b"354 go on\r\n")
    await addressed(wire, pipelines=False)
    assert wire.written == [MAIL, RCPT, DATA]


@pytest.mark.parametrize(
    ("replies", "code", "about_recipient"),
    [
        ((b"250 ok\r\n", b"550 nobody\r\n", b"354 go on\r\n"), 550, True),
        ((b"250 ok\r\n", b"550-5.1.1 nobody\r\n550 5.1.1 here\r\n", b"503 nobody\r\n"), 550, True),
        ((b"250 ok\r\n", b"554 5.7.1 your network is blocked\r\n", b"554 5.5.1 nobody\r\n"), 554, False),
        ((b"250 ok\r\n", b"550 5.1.8 sender unknown\r\n", b"554 5.5.1 nobody\r\n"), 550, False),
        ((b"250 ok\r\n", b"530 log in first\r\n", b"503 nobody\r\n"), 530, False),
        ((b"451 later\r\n", b"503 no sender\r\n", b"503 no sender\r\n"), 451, False),
        ((b"553 not your sender\r\n", b"503 no sender\r\n", b"503 no sender\r\n"), 553, False),
        ((b"250 ok\r\n", b"250 ok\r\n", b"452 full\r\n"), 452, False),
        ((b"250 ok\r\n", b"250 ok\r\n", b"554 not you\r\n"), 554, False),
    ],
)
@pytest.mark.parametrize("pipelines", [True, False])
async def test_the_first_refusal_counts_whatever_is_said_to_the_commands_behind_it(
    replies: tuple[bytes, ...], code: int, about_recipient: bool, pipelines: bool
) -> None:
    wire = Wire(b"".join(replies)) if pipelines else Wire(*replies)
    with pytest.raises(RefusedError) as no:
        await addressed(wire, pipelines=pipelines)
    assert (no.value.code, no.value.about_recipient) == (code, about_recipient)


@pytest.mark.parametrize("cut", range(1, 30))
async def test_replies_are_the_same_wherever_they_are_cut(cut: int) -> None:
    said = b"250 ok\r\n250-a\r\n250 b\r\n354 go on\r\n"
    wire = Wire()
    waiting = asyncio.create_task(addressed(wire, pipelines=True))
    await asyncio.sleep(0)
    assert isinstance(wire.protocol, SmtpSession)
    wire.protocol.data_received(said[:cut])
    wire.protocol.data_received(said[cut:])
    await waiting
    assert wire.protocol.is_usable


@pytest.mark.parametrize(
    ("script", "why"),
    [((b"what?\r\n",), "no_smtp"), ((b"250-" * 20_000,), "too_long"), ((), "timeout"), ((b"250-and\r\n",), "timeout")],
)
async def test_a_server_that_does_not_answer_is_lost(script: tuple[bytes, ...], why: str) -> None:
    wire = Wire(*script)
    with pytest.raises(LostError, match=why):
        await addressed(wire, pipelines=False, seconds=0.01)
    assert not wire.is_open


async def test_a_connection_that_breaks_wakes_who_waits() -> None:
    wire = Wire()
    session = SmtpSession(wire, pipelines=False)
    waiting = asyncio.create_task(session.content(b"mail", soon()))
    await asyncio.sleep(0)
    session.connection_lost(None)
    with pytest.raises(LostError, match="disconnected"):
        await waiting


async def test_a_reply_that_nobody_asked_for_never_belongs_to_the_next_mail() -> None:
    wire = Wire()
    session = SmtpSession(wire, pipelines=False)
    session.data_received(b"250 what you sent before\r\n")
    with pytest.raises(LostError, match="no_smtp"):
        await session.content(b"mail", soon())
    assert wire.written == []


@pytest.mark.parametrize(
    ("mail", "sent"),
    [
        (b"A: b\r\n\r\ntext\r\n", b"A: b\r\n\r\ntext\r\n.\r\n"),
        (b"text", b"text\r\n.\r\n"),
        (b"A: b\r\n.\r\n..two\r\n", b"A: b\r\n..\r\n...two\r\n.\r\n"),
    ],
)
def test_no_line_of_a_mail_ends_it_early(mail: bytes, sent: bytes) -> None:
    assert dotted(mail) == sent


@pytest.mark.parametrize("text", ["word " * 40, "å" * 200, "one\rtwo\n.\nthree\x0bfour", "", "a\u2028" + "b" * 300])
def test_every_line_of_a_mail_has_a_whole_end(text: str) -> None:
    form = MailForm("Nordposten Demo <svar@nordposten.example>", "Nordposten Demo", "smtp")
    mail = written(form, replace(SMS, subject="Hur gick det?", text=text, html=text), "r@b.example")
    assert mail.count(b"\r\n") == mail.count(b"\n") == mail.count(b"\r")
