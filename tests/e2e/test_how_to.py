"""Somebody follows guides beside a running demo: their commands run as they stand, in their order."""

import asyncio
import os
import re
import shlex
import sys
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import DELIVERY_COMPLETED
from services.aggregator.calendar import month_of_day
from services.aggregator.figures.months import month_name
from services.demo.people import Behaviour, Case
from services.demo.upstream import record_of
from tests.builders import delivery
from tests.document_blocks import blocks
from tests.kvittera import RunningDemo, demo_with_page
from tests.terminal import Terminal, terminal

_TRIES: Final = 200
_PAUSE_SECONDS: Final = 0.2
_PREPARED: Final = f"""
PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH
kvittera() {{ if [ "$1" = erase ]; then yes | command kvittera "$@"; else command kvittera "$@"; fi }}
"""
"""What asks before it begins is told to go on."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with demo_with_page(tmp_path_factory.mktemp("how-to"), "--rate", "10", "--deliveries", "40") as running:
        yield running


@pytest.fixture
async def shell(demo: RunningDemo, repository: Path) -> AsyncIterator[Terminal]:
    variables = {**os.environ, "PYTHONPATH": str(repository), "COLUMNS": "200"}
    async with terminal(demo.folder, variables, _PREPARED) as opened:
        yield opened


def copied(repository: Path, guide: str, language: str = "sh") -> list[str]:
    """What a guide has for copying."""
    return blocks(repository / f"docs/how-to/{guide}.md", language)


async def delivered(demo: RunningDemo, name: str, at: datetime, kind: str = "email", address: str = "") -> None:
    """Publish a delivery that the demo's own people know nothing of."""
    to = address or f"{name}@mottagare.example"
    sent = delivery(({"kind": kind, "address": to},), delivery_id=name, occurred_at=at, postcode_prefix="972")
    producer = AIOKafkaProducer(bootstrap_servers=demo.servers["KVITTERA_KAFKA_BOOTSTRAP"])
    await producer.start()
    await producer.send_and_wait(DELIVERY_COMPLETED, **record_of(Case(sent, to, Behaviour(answers=False))))
    await producer.stop()


async def until(look: Callable[[], Awaitable[str]], what: str) -> str:
    """What is seen as soon as it holds something."""
    said = ""
    for _ in range(_TRIES):
        if what in (said := await look()):
            return said
        await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError(f"{what} never came: {said}")


@pytest.mark.timeout(300)
async def test_close_a_month(repository: Path, demo: RunningDemo, shell: Terminal) -> None:
    today = datetime.now(UTC)
    month = month_name(month_of_day(today.date()) - 2)  # its days of tolerance are over, whatever day it is
    then = datetime.fromisoformat(f"{month}-10T12:00Z")
    close, revise, prove = (block.replace("2026-10", month) for block in copied(repository, "close-a-month"))
    await delivered(demo, "OLD-1", then)
    await until(lambda: shell.run("kvittera months list\n"), f"{month}  provisional")

    said = await shell.run(close)
    assert "clean: 0 lost, 0 double, 0 differing cells" in said
    assert said.endswith(f"closed {month}\n"), said

    await delivered(demo, "OLD-2", then)
    await until(lambda: shell.run("kvittera months list\n"), "cells moved since")
    assert f"{month} has revision 2" in await shell.run(revise)
    assert "answers of the Luleå kiosk came late" in await shell.run("kvittera months list\n")
    proven = re.findall(r"^(equal|NOT EQUAL): .*, 0 differ$", await shell.run(prove), re.MULTILINE)
    assert proven == ["equal", "equal"], "the last revision and the first"


@pytest.mark.timeout(300)
async def test_add_a_cut(repository: Path, demo: RunningDemo, shell: Terminal) -> None:
    [cuts], [build, switch, look] = copied(repository, "add-a-cut", "toml"), copied(repository, "add-a-cut")
    (demo.folder / "new-cuts.toml").write_text(cuts, encoding="utf-8")
    await delivered(demo, "LULEA-1", datetime.now(UTC))
    await until(lambda: shell.run("kvittera cells --cut total --format json\n"), '"delivered"')

    said = await shell.run(build)
    assert re.search(r"^postcode_prefix: \d+ answers and decisions placed, 0 cells differ$", said, re.MULTILINE), said
    assert f"version of the file: 2, {tomllib.loads(cuts)['version']} after the next switch" in said
    assert "clean: 0 lost, 0 double, 0 differing cells" in await shell.run(switch)
    assert re.search(r"^ 972 .* 1 +1 +–", await shell.run(look), re.MULTILINE), "delivered and asked about once"


@pytest.mark.timeout(300)
async def test_erase_a_person(repository: Path, demo: RunningDemo, shell: Terminal) -> None:
    [erase] = copied(repository, "erase-a-person")
    phone, email = shlex.split(erase)[3::2]
    await delivered(demo, "ASTRID-1", datetime.now(UTC), "sms", phone)
    await delivered(demo, "ASTRID-2", datetime.now(UTC), "email", email)

    async def outbox() -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{demo.url}/outbox/messages?limit=1000") as reply:
            told: dict[str, Any] = await reply.json()
        return " and ".join(sorted(m["recipient"] for m in told["messages"] if m["recipient"] in {phone, email}))

    await until(outbox, f"{phone} and {email}")
    said = await shell.run(erase)
    # What was planned is the reminder.
    assert said.count("key destroyed, 1 planned requests withdrawn, 1 messages of the outbox viewer blanked") == 2, said
    assert await outbox() == ""
    assert said.count("erased already") == 0
    assert (await shell.run(erase)).count("erased already") == 2
    assert "survey" in await shell.run("kvittera status --once\n")
