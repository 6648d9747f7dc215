"""The doctor speaks to each mail server as far as a mail would, and tells at which step it is not well."""

from collections.abc import Sequence
from typing import Literal

import pytest

from services.doctor.findings import Finding
from services.doctor.mail_servers import mail_server
from services.notifier.channels.smtp import SmtpTable
from tests.doctor_kit import SETTING, Secured, talking
from tests.mail_server import MailRoom
from tests.mail_server import mail_server as serving_mails


def mails(
    port: int, security: Literal["auto", "starttls", "tls", "off"] = "starttls", username: str | None = None
) -> SmtpTable:
    sender = "Nordposten <svar@nordposten.example>"
    return SmtpTable(name="post", host="localhost", port=port, security=security, sender=sender, username=username)


async def spoken_to(table: SmtpTable) -> Finding:
    return await mail_server("provider post", table, SETTING)


async def test_a_mail_server_hears_that_we_are_there_and_of_no_mail() -> None:
    async with talking(b"220 hi\r\n", b"250 post\r\n", b"250 OK\r\n", b"221 bye\r\n") as (port, heard):
        found = await spoken_to(mails(port, "off"))
    assert found == Finding("provider post", "well", f"localhost:{port} answers")
    assert [line.split()[0] for line in heard] == [b"EHLO", b"NOOP", b"QUIT"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_server_that_encrypts_with_a_certificate_of_its_name_is_well(
    secured: Secured, security: Literal["starttls", "tls"]
) -> None:
    context = secured()
    room = MailRoom()
    by_command, at_once = (context, None) if security == "starttls" else (None, context)
    async with serving_mails(room, password="not-told", starttls=by_command, tls=at_once) as port:
        found = await spoken_to(mails(port, security, username="kvittera"))
    assert found == Finding("provider post", "well", f"localhost:{port} answers, encrypted")
    assert room.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls", "auto"])
async def test_a_mail_server_with_another_certificate_is_ill(
    secured: Secured, security: Literal["starttls", "tls", "auto"]
) -> None:
    context = secured(stranger=True)
    by_command, at_once = (None, context) if security == "tls" else (context, None)
    async with serving_mails(MailRoom(), starttls=by_command, tls=at_once) as port:
        found = await spoken_to(mails(port, security))
    assert found.verdict == "ill"
    assert found.found.startswith(f"the certificate of localhost:{port} is not trusted: unable to get local issuer")


@pytest.mark.parametrize(
    ("replies", "found", "do"),
    [
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "is no mail server", "check host and port in"),
        ((b"SSH-2.0-OpenSSH_9.6\r\n",), "is no mail server", "check host and port in"),
        ((b"554 go away\r\n",), "refuses us with 554", "ask who runs it to let this machine in"),
        ((b"220 hi\r\n", b"250 post\r\n", b"421 too many\r\n"), "refuses us with 421", "ask who runs it"),
        ((b"",), "hangs up on us", "ask who runs it to let this machine in; mail servers greet"),
    ],
)
async def test_who_answers_otherwise_than_a_mail_server_is_told(replies: Sequence[bytes], found: str, do: str) -> None:
    async with talking(*replies) as (port, _):
        told = await spoken_to(mails(port, "off"))
    assert (told.verdict, told.found) == ("ill", f"localhost:{port} {found}")
    assert told.do.startswith(do)


async def test_a_mail_server_that_does_not_offer_what_is_asked_for_is_ill() -> None:
    async with serving_mails(MailRoom()) as port:
        unencrypted = await spoken_to(mails(port))
        nameless = await spoken_to(mails(port, "off", username="kvittera"))
    assert unencrypted.found == f"localhost:{port} offers no encryption"
    assert unencrypted.do.startswith("it must offer STARTTLS")
    assert nameless.found == f"localhost:{port} answers, and offers no log-in"
    assert {unencrypted.verdict, nameless.verdict} == {"ill"}


async def test_mails_in_the_clear_to_another_machine_are_worth_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.doctor.mail_servers.is_loopback", lambda _: False)
    async with serving_mails(MailRoom()) as port:
        found = await spoken_to(mails(port, "auto"))
    assert (found.verdict, found.found) == ("look", f"localhost:{port} answers, and does not encrypt")


async def test_a_mail_server_that_says_nothing_is_told_with_the_ports_that_greet(silent: int) -> None:
    found = await spoken_to(mails(silent))
    assert (found.verdict, found.found) == ("ill", f"localhost:{silent} takes the connection and says nothing")
    assert "465" in found.do
