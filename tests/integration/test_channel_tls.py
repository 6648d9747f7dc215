"""An app's server is called by number, and still has to prove the name that was judged."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.delivery import ChannelKind
from services.certificates import Authority
from services.notifier.channels import Fate, Result, http_call
from services.notifier.channels.safe_address import Doorman
from services.notifier.channels.webhook import AppWebhook, WebhookTable
from tests.channel_kit import SECRET, SMS, loopback
from tests.gateways import Gateway, answer, gateway

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
