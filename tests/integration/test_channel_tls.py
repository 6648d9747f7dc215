"""An app's server is called by number, and still has to prove the name that was judged; mail servers prove theirs."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from schemas.delivery import ChannelKind
from services.certificates import Authority
from services.notifier.channels import Fate, Result, http_call
from services.notifier.channels.mail import MailForm
from services.notifier.channels.safe_address import Doorman
from services.notifier.channels.smtp import Smtp, SmtpTable
from services.notifier.channels.webhook import AppWebhook, WebhookTable
from tests.channel_kit import SECRET, SMS, loopback
from tests.gateways import Gateway, answer, gateway
from tests.mail_server import MailRoom, mail_server

INSIDE = Doorman(loopback, allow=lambda n: n.is_loopback, ports=lambda _: True)
TOLD = replace(SMS, kind=ChannelKind.APP, address="app-user-1")


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """A server's side with a certificate for this name, and what clients need to trust."""
    authority = Authority.new(datetime.now(UTC))
    pair = authority.server([name])
    file = folder / f"{name}.pem"
    file.write_text(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, authority.pem


@asynccontextmanager
async def app_server(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    context, shown = certificate(folder, name)
    monkeypatch.setattr(http_call, "_trust", lambda: ssl.create_default_context(cadata=shown))
    async with gateway(answer(204, ""), tls=context) as server:
        yield server


async def send(port: int, name: str = "app.example") -> Result:
    table = WebhookTable(name="app", adapter="webhook", url=f"https://{name}:{port}/hooks", timeout_seconds=5)
    channel = AppWebhook(table, SECRET, INSIDE)
    try:
        return await channel.send(TOLD)
    finally:
        await channel.close()


async def test_a_server_with_the_certificate_of_its_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app_server(tmp_path, "app.example", monkeypatch) as server:
        assert await send(server.port) == Result(Fate.ACCEPTED)
    assert [c.headers["host"] for c in server.calls] == [f"app.example:{server.port}"]


async def test_a_server_with_another_names_certificate_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app_server(tmp_path, "elsewhere.example", monkeypatch) as server:
        assert await send(server.port) == Result(Fate.REFUSED_FOR_NOW, "app_unreachable", 30)
    assert server.calls == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(("name", "fate"), [("localhost", Fate.ACCEPTED), ("other.example", Fate.REFUSED_FOR_NOW)])
async def test_mails_go_over_an_encrypted_connection_to_the_server_of_that_name_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: Literal["starttls", "tls"], name: str, fate: Fate
) -> None:
    context, shown = certificate(tmp_path, name)
    trusting = ssl.create_default_context(cadata=shown)
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: trusting)
    room = MailRoom()
    encrypted = (context, None) if security == "starttls" else (None, context)
    async with mail_server(room, starttls=encrypted[0], tls=encrypted[1]) as port:
        sender = "Nordposten Demo <svar@nordposten.example>"
        table = SmtpTable(name="post", host="localhost", port=port, security=security, sender=sender, timeout_seconds=5)
        channel = Smtp(table, MailForm(sender, "Nordposten Demo", "post"))
        sent = [(await channel.send(replace(SMS, address="r@mottagare.example"))).fate for _ in range(2)]
        await channel.close()
    assert sent == [fate] * 2
    assert len({session for session, _ in room.sessions}) == len(room.mails[:1])
    assert len(room.mails) == (2 if fate is Fate.ACCEPTED else 0)
