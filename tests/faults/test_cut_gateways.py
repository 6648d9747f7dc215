"""The network to the gateways is cut for a while, or forgets every connection: nobody is asked twice or left out.

The notifier runs as a whole, and reaches an SMS gateway and a mail server by lines.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import orjson
import pytest

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.environment import load_settings
from services.chassis.postgres import connect
from services.chassis.settings import PREFIX, Settings
from services.demo.place import POLICIES
from services.demo.runtime import prepare
from services.embedded.child import end_child, spawn_child
from services.embedded.ports import free_port
from services.embedded.servers import Servers, running_servers
from tests.builders import delivery
from tests.conftest import SEALING_KEY
from tests.faults.waiting import until
from tests.gateways import Gateway, answer, gateway
from tests.harness import produce
from tests.mail_server import MailRoom, mail_server
from tests.network import Line, line

pytestmark = [
    pytest.mark.skipif("LONG_CUTS" not in os.environ, reason="takes minutes: make test-faults"),
    pytest.mark.timeout(600),
]
PROVIDERS = """[[provider]]
name = "texts"
adapter = "gateway"
url = "http://127.0.0.1:{texts}/send"
fields = {{ to = "to", text = "text", reference = "reference" }}
secret_file = "{secret}"
timeout_seconds = 3

[[provider]]
name = "mails"
adapter = "smtp"
host = "127.0.0.1"
port = {mails}
security = "off"
sender = "Nordposten <svar@nordposten.example>"
timeout_seconds = 3
"""
_STATES = "SELECT invitation_id::text AS reference, channel, state, reason FROM invitation WHERE kind = 'ask'"
EACH = 5
"""Deliveries that come together, several times a second."""
CUT_FOR = 20.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A notifier at work, its gateways, and the lines to them."""

    settings: Settings
    texts: Gateway
    mails: MailRoom
    lines: tuple[Line, Line]

    async def deliver(self, name: str, seconds: float) -> int:
        """Deliveries to people with a phone or a mail address, for so long; returns how many."""
        began, many = asyncio.get_running_loop().time(), 0
        while asyncio.get_running_loop().time() < began + seconds:
            values = [self._one(f"{name}-{n}", many + n) for n in range(many, many + EACH)]
            await produce(self.settings, DELIVERY_COMPLETED, values)
            many += EACH
            await asyncio.sleep(0.4)
        return many

    def _one(self, name: str, number: int) -> bytes:
        phone = {"kind": "sms", "address": f"+4670{crc32(name.encode()) % 10_000_000:07}"}
        mail = {"kind": "email", "address": f"{name}@mottagare.example"}
        about = {"delivery_id": name, "order_id": name, "drop_id": name}
        return (
            delivery((phone if number % 4 else mail,), occurred_at=datetime.now(UTC), **about)
            .model_dump_json(exclude_none=True)
            .encode()
        )

    async def states(self) -> dict[str, str]:
        """What became of each request, by its reference."""
        connection = await connect(self.settings, "notifier")
        rows = await connection.fetch(_STATES)
        await connection.close()
        return {row["reference"]: row["state"] for row in rows}

    def reached(self) -> Counter[str]:
        """How often each request reached a gateway."""
        texts = [orjson.loads(call.body)["reference"] for call in self.texts.calls]
        mails = [str(mail["Message-ID"]).partition("@")[0].rpartition(".")[2] for _, _, mail in self.mails.mails]
        return Counter(texts + mails)

    async def check(self, published: int) -> None:
        """Everybody was asked once or is in doubt, and whom we think asked has the message."""

        async def all_left() -> bool:
            states = await self.states()
            return len(states) == published and set(states.values()) <= {"accepted", "in_doubt"}

        async def tell() -> str:
            return str(Counter((await self.states()).values()))

        print(f"all left after {await until(all_left, 'all requests to leave', tell=tell):.1f} s: {await tell()}")
        states, reached = await self.states(), self.reached()
        assert set(reached.values()) == {1}
        assert set(reached) <= set(states)
        assert [
            reference for reference, state in states.items() if state == "accepted" and not reached[reference]
        ] == []
        assert "in_doubt" in states.values(), "the fault hit nobody"


@asynccontextmanager
async def notifier(folder: Path, servers: Servers, providers: str) -> AsyncIterator[Settings]:
    """A notifier that reaches real people by these providers."""
    (folder / "secret").write_text("made-up")
    (folder / "providers.toml").write_text(providers)
    variables = {
        PREFIX + name: text
        for name, text in {
            "KAFKA_BOOTSTRAP": servers.kafka.bootstrap,
            "POSTGRES_DSN": servers.postgres.dsn(),
            "ALLOW_UNSAFE_POSTGRES": "true",
            "SEALING_KEY": SEALING_KEY,
            "POLICIES_FOLDER": str(POLICIES),
            "CHANNEL": "providers",
            "PROVIDERS_FILE": str(folder / "providers.toml"),
            "LIVE_SENDING_UNTIL": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            "SENDS_PER_MINUTE": "100000",
            "SEND_LEASE_SECONDS": "8",
            "NOTIFIER_PORT": str(free_port()),
            "LOG_FORMAT": "json",
        }.items()
    }
    settings = load_settings(variables)
    await prepare(settings)
    process = spawn_child(
        [sys.executable, "-m", "services", "notifier"], log=folder / "log", env={**os.environ, **variables}
    )
    try:
        yield settings
        assert process.poll() is None
    finally:
        await asyncio.to_thread(end_child, process, signal.SIGTERM, 20)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    room = MailRoom()
    with running_servers(tmp_path / "servers", fsync=False) as servers:
        async with (
            gateway(answer(200)) as texts,
            mail_server(room) as port,
            line(texts.port) as to_texts,
            line(port) as to_mails,
        ):
            providers = PROVIDERS.format(texts=to_texts.port, mails=to_mails.port, secret=tmp_path / "secret")
            async with notifier(tmp_path, servers, providers) as settings:
                yield Scene(settings, texts, room, (to_texts, to_mails))


async def test_gateways_that_are_cut_off_for_a_while_leave_nobody_out_and_ask_nobody_twice(scene: Scene) -> None:
    published = await scene.deliver("before", 6)
    for each in scene.lines:
        each.cut()
    published += await scene.deliver("cut", CUT_FOR)
    for each in scene.lines:
        each.heal()
    published += await scene.deliver("after", 4)
    await scene.check(published)


@pytest.mark.parametrize("server_knows", [True, False])
async def test_gateways_to_which_connections_are_forgotten_are_called_anew_and_nobody_is_asked_twice(
    scene: Scene, server_knows: bool
) -> None:
    published = await scene.deliver("before", 6)
    forgetting = asyncio.create_task(scene.deliver("while", 8))
    for _ in range(6):
        await asyncio.sleep(1)
        for each in scene.lines:
            each.forget(server_knows=server_knows)
    published += await forgetting
    await scene.check(published)
