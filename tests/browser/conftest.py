"""A real Chromium against the real running system, with recipients of the tests' own that nobody else plays."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from playwright.async_api import Browser, expect

from schemas.topics import DELIVERY_COMPLETED
from services.demo.people import Behaviour, Case
from services.demo.upstream import record_of
from tests.builders import delivery
from tests.chromium import needs_chromium, running_chromium
from tests.kvittera import RunningDemo, demo_with_page
from tests.visitors import Stored, Visitor

LANGUAGES = ("sv", "nb", "da", "fi", "en", "de")
TESTERS = {f"tester{n}@mottagare.example": "sv" for n in range(24)}
TRAVELLERS = {f"+467017406900{n:03d}": language for n, language in enumerate(LANGUAGES * 2 + ("sv", "de"))}
"""Phones by the language of their owners; the demo's own people have other numbers."""
_PATIENCE = 120
expect.set_options(timeout=60_000)  # a page is waited for, however slow the machine


@pytest.fixture(scope="package")
async def chromium() -> AsyncIterator[Browser]:
    """A browser for all tests of this folder."""
    needs_chromium()
    async with running_chromium() as started:
        yield started


@pytest.fixture(scope="package")
def demo(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo whose own recipients fall silent after a while; every terminal has answers enough to be shown."""
    assert chromium.is_connected()
    with demo_with_page(tmp_path_factory.mktemp("browser"), "--rate", "100", "--deliveries", "900") as running:
        yield running


@pytest.fixture(scope="package")
async def database(demo: RunningDemo) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(demo.servers["KVITTERA_POSTGRES_DSN"])
    yield connection
    await connection.close()


@pytest.fixture(scope="package")
async def messages(demo: RunningDemo) -> dict[str, dict[str, Any]]:
    """What the outbox holds for people of the tests' own, by address; nobody has opened a link of theirs."""
    producer = AIOKafkaProducer(bootstrap_servers=demo.servers["KVITTERA_KAFKA_BOOTSTRAP"])
    await producer.start()
    try:
        for number, (address, language) in enumerate((TESTERS | TRAVELLERS).items()):
            kind = "email" if "@" in address else "sms"
            channels = ({"kind": kind, "address": address},)
            sent = delivery(channels, language, delivery_id=f"BROWSER-{number}", occurred_at=datetime.now(UTC))
            case = Case(sent, address, Behaviour(answers=False))
            await producer.send_and_wait(DELIVERY_COMPLETED, **record_of(case))
    finally:
        await producer.stop()
    return await _messages_to({*TESTERS, *TRAVELLERS}, demo)


async def _messages_to(people: set[str], demo: RunningDemo) -> dict[str, dict[str, Any]]:
    until = time.monotonic() + _PATIENCE
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{demo.url}/outbox/messages?limit=1000") as reply:
                sent = (await reply.json())["messages"]
            found = {m["recipient"]: m for m in sent if m["recipient"] in people}
            if len(found) == len(people):
                return found
            assert time.monotonic() < until, f"{len(found)} of {len(people)} messages"
            await asyncio.sleep(0.2)


@pytest.fixture(scope="package")
def links(messages: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Links of unanswered questions in Swedish, each given out once."""
    return iter([messages[address]["link"] for address in TESTERS])


@pytest.fixture
def link(links: Iterator[str]) -> str:
    """A link that nobody has opened."""
    return next(links)


@pytest.fixture
def stored(database: asyncpg.Connection) -> Stored:
    return Stored(database)


@pytest.fixture
async def visitor(demo: RunningDemo, chromium: Browser) -> AsyncIterator[Visitor]:
    """A visitor whose browser must have nothing to complain about: no script error, no violation of the policy."""
    assert demo.process.poll() is None
    async with AsyncExitStack() as at_exit:
        visits = Visitor(chromium, at_exit)
        yield visits
        assert visits.complaints == []
