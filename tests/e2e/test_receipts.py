"""The notifier as a process: a text message leaves through a provider, and the provider's report comes back."""

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.settings import Settings
from services.embedded.ports import free_port
from services.embedded.servers import running_servers
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


async def test_a_providers_report_reaches_the_decision_of_the_delivery(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "secret").write_text("made-up")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/hours.v2.toml").write_text("effective_from = 2020-01-01T00:00:00Z\n")  # no quiet hours
    with running_servers(tmp_path / "servers", fsync=False) as servers:
        async with gateway(TAKEN) as server, httpx2.AsyncClient(trust_env=False) as client:
            (tmp_path / "providers.toml").write_text(PROVIDERS.format(secret=tmp_path / "secret", port=server.port))
            environment = {
                "KVITTERA_KAFKA_BOOTSTRAP": servers.kafka.bootstrap,
                "KVITTERA_POSTGRES_DSN": servers.postgres.dsn("postgres"),
                "KVITTERA_ALLOW_UNSAFE_POSTGRES": "true",
                "KVITTERA_SEALING_KEY": SEALING_KEY,
                "KVITTERA_POLICIES_FOLDER": str(tmp_path / "policies"),
                "KVITTERA_CHANNEL": "providers",
                "KVITTERA_PROVIDERS_FILE": str(tmp_path / "providers.toml"),
                "KVITTERA_LIVE_SENDING_UNTIL": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
                "KVITTERA_NOTIFIER_PORT": str(port),
                "KVITTERA_RECEIPTS_URL": f"http://127.0.0.1:{port}",
            }
            for command in (("topics", "apply"), ("migrate",)):
                done = kvittera(tmp_path, *command, timeout=150, **environment)
                assert done.returncode == 0, done.stdout + done.stderr
            process = subprocess.Popen(
                [sys.executable, "-m", "services", "notifier"],
                cwd=tmp_path,
                env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environment},
            )
            try:
                notifier = Notifier(f"http://127.0.0.1:{port}", client)
                await notifier.until("/health/ready", lambda r: r.status_code == 200)
                settings = Settings(kafka_bootstrap=servers.kafka.bootstrap)
                message = delivery((SMS,), occurred_at=datetime.now(UTC)).model_dump_json(exclude_none=True)
                await produce(settings, DELIVERY_COMPLETED, [message.encode()])
                report = await called(server)
                forged = await client.post(report[:-1] + "x", data={"id": "s1", "status": "delivered"})
                taken = await client.post(report, data={"id": "s1", "status": "delivered"})
                assert (forged.status_code, taken.status_code) == (403, 204)
                told = await notifier.until(
                    "/decisions/D-1", lambda r: json.loads(r.content).get("state") == "accepted"
                )
                assert told["progress"] == "delivered"
                shown = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                assert 'kvittera_receipts_total{provider="elks",result="delivered"} 1.0' in shown
                assert urlsplit(report).path == "/receipts/elks"
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
