"""The notifier as a process: a text message leaves through a provider, and the provider's report comes back."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.settings import Settings
from services.embedded.ports import free_port
from services.embedded.servers import Servers, running_servers
from tests.builders import SMS, delivery
from tests.conftest import SEALING_KEY
from tests.gateways import Gateway, answer, gateway
from tests.harness import produce
from tests.kvittera import ROOT, kvittera

TAKEN = answer(200, '{"id": "s1", "status": "created"}')
PROVIDERS = """[[provider]]
name = "elks"
adapter = "46elks"
user = "u1"
sender = "Nordposten"
secret_file = "{secret}"
url = "http://127.0.0.1:{port}/a1/sms"
"""


@dataclass(frozen=True)
class Notifier:
    """Where it is."""

    url: str
    client: httpx2.AsyncClient

    async def until(self, path: str, wanted: Any, seconds: float = 60) -> dict[str, Any]:
        """The answer at a path, once it is what is wanted."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    reply = await self.client.get(self.url + path)
                    if wanted(reply):
                        return dict(json.loads(reply.content))
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.1)


async def called(server: Gateway) -> str:
    """The address for the report of the one message."""
    async with asyncio.timeout(120):
        while not server.calls:
            await asyncio.sleep(0.1)
    [call] = server.calls
    return parse_qs(call.body.decode())["whendelivered"][0]


@dataclass(frozen=True)
class Place:
    """Servers with topics and tables, a provider, and how a notifier is told of them."""

    folder: Path
    servers: Servers
    provider: Gateway
    port: int
    environment: dict[str, str]

    @asynccontextmanager
    async def notifier(self, *, permitted: timedelta) -> AsyncIterator[Notifier]:
        """One that is ready; its permission to send ends so far ahead."""
        told = {"KVITTERA_LIVE_SENDING_UNTIL": (datetime.now(UTC) + permitted).isoformat()}
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "notifier"],
            cwd=self.folder,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **self.environment, **told},
        )
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:
                notifier = Notifier(f"http://127.0.0.1:{self.port}", client)
                await notifier.until("/health/ready", lambda r: r.status_code == 200)
                yield notifier
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    async def deliver(self) -> None:
        """One delivery, just now."""
        settings = Settings(kafka_bootstrap=self.servers.kafka.bootstrap)
        message = delivery((SMS,), occurred_at=datetime.now(UTC)).model_dump_json(exclude_none=True)
        await produce(settings, DELIVERY_COMPLETED, [message.encode()])


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    port = free_port()
    (tmp_path / "secret").write_text("made-up")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/hours.v2.toml").write_text("effective_from = 2020-01-01T00:00:00Z\n")  # no quiet hours
    with running_servers(tmp_path / "servers", fsync=False) as servers:
        async with gateway(TAKEN) as provider:
            (tmp_path / "providers.toml").write_text(PROVIDERS.format(secret=tmp_path / "secret", port=provider.port))
            environment = {
                "KVITTERA_KAFKA_BOOTSTRAP": servers.kafka.bootstrap,
                "KVITTERA_POSTGRES_DSN": servers.postgres.dsn("postgres"),
                "KVITTERA_ALLOW_UNSAFE_POSTGRES": "true",
                "KVITTERA_SEALING_KEY": SEALING_KEY,
                "KVITTERA_POLICIES_FOLDER": str(tmp_path / "policies"),
                "KVITTERA_CHANNEL": "providers",
                "KVITTERA_PROVIDERS_FILE": str(tmp_path / "providers.toml"),
                "KVITTERA_NOTIFIER_PORT": str(port),
                "KVITTERA_RECEIPTS_URL": f"http://127.0.0.1:{port}",
            }
            for command in (("topics", "apply"), ("migrate",)):
                done = kvittera(tmp_path, *command, timeout=150, **environment)
                assert done.returncode == 0, done.stdout + done.stderr
            yield Place(tmp_path, servers, provider, port, environment)


async def test_what_came_while_the_permission_was_over_leaves_with_a_new_one_and_its_report_reaches_the_decision(
    place: Place,
) -> None:
    async with place.notifier(permitted=timedelta(minutes=-1)) as notifier:
        await place.deliver()
        await notifier.until("/decisions/D-1", lambda r: json.loads(r.content).get("state") == "planned")
        await asyncio.sleep(2)
        assert place.provider.calls == []
    async with place.notifier(permitted=timedelta(hours=1)) as notifier:
        report, client = await called(place.provider), notifier.client
        forged = await client.post(report[:-1] + "x", data={"id": "s1", "status": "delivered"})
        taken = await client.post(report, data={"id": "s1", "status": "delivered"})
        assert (forged.status_code, taken.status_code) == (403, 204)
        told = await notifier.until("/decisions/D-1", lambda r: json.loads(r.content).get("state") == "accepted")
        assert told["progress"] == "delivered"
        shown = (await client.get(f"{notifier.url}/metrics")).text
        assert 'kvittera_receipts_total{provider="elks",result="delivered"} 1.0' in shown
        assert urlsplit(report).path == "/receipts/elks"
