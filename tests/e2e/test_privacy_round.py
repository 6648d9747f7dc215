"""A person whose every text is a canary goes all the way round and is then erased: nothing shows, nothing is left."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.topics import CARDS, DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED
from services.demo.people import Behaviour, Case
from services.demo.upstream import record_of
from tests.builders import delivery
from tests.kvittera import RunningDemo, demo_with_page, kvittera

_PATIENCE = 120.0
COUNTED_FROM = {INVITATION_DECIDED, RESPONSE_RECORDED}


@dataclass(frozen=True, slots=True)
class Canaries:
    """Texts that stand nowhere else."""

    mail: str
    comment: str
    name: str
    contact: str
    token: str
    delivery_id: str
    """The only one that may show."""

    def all(self) -> tuple[str, ...]:
        """What must show nowhere."""
        return (self.mail, self.comment, self.name, self.contact, self.token)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with demo_with_page(tmp_path_factory.mktemp("privacy"), "--rate", "5", "--deliveries", "20") as running:
        yield running


@pytest.fixture(scope="module")
async def database(demo: RunningDemo) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(demo.servers["KVITTERA_POSTGRES_DSN"])
    yield connection
    await connection.close()


async def until(found: Callable[[], Awaitable[Any]], what: str) -> Any:
    """The first result that is something."""
    end = time.monotonic() + _PATIENCE
    while not (result := await found()):
        assert time.monotonic() < end, f"not within {_PATIENCE} s: {what}"
        await asyncio.sleep(0.2)
    return result


@pytest.fixture(scope="module")
async def canaries(demo: RunningDemo, database: asyncpg.Connection) -> Canaries:
    """What a person gave: a delivery's address, an answer with a comment, a wish to be contacted."""
    mark = uuid.uuid4().hex[:12]
    mail = f"canary-{mark}@mottagare.example"
    sent_id = f"CANARY-{mark}"
    sent = delivery(({"kind": "email", "address": mail},), delivery_id=sent_id, occurred_at=datetime.now(UTC))
    producer = AIOKafkaProducer(bootstrap_servers=demo.servers["KVITTERA_KAFKA_BOOTSTRAP"])
    await producer.start()
    await producer.send_and_wait(DELIVERY_COMPLETED, **record_of(Case(sent, mail, Behaviour(answers=False))))
    await producer.stop()

    async with aiohttp.ClientSession() as session:

        async def message() -> list[dict[str, Any]]:
            async with session.get(f"{demo.url}/outbox/messages?limit=1000") as reply:
                return [m for m in (await reply.json())["messages"] if m["recipient"] == mail]

        [arrived] = await until(message, "the message")
        link = demo.url + "/r/" + arrived["link"].rpartition("/r/")[2]

        async def form() -> re.Match[str] | None:
            async with session.get(link) as reply:
                return re.search(r'name="nonce" value="([^"]+)"', await reply.text())

        nonce = (await until(form, "the page"))[1]
        token = link.rpartition("/")[2]
        given = Canaries(mail, f"COMMENT-{mark}", f"NAME-{mark}", f"kontakt-{mark}@mottagare.example", token, sent_id)
        details = {
            "nonce": nonce,
            "score": "1",
            "part": "details",
            "comment": given.comment,
            "wants_contact": "1",
            "contact_name": given.name,
            "contact_address": given.contact,
        }
        async with session.post(link, data=details, allow_redirects=False) as reply:
            assert reply.status == 303, await reply.text()

    async def case_opened() -> int:
        found: int = await database.fetchval(
            "SELECT count(*) FROM survey.feedback_case AS c JOIN survey.invitation AS i"
            " ON i.invitation_id::text = c.response_id WHERE i.delivery->>'delivery_id' LIKE 'CANARY-%'"
        )
        return found

    await until(case_opened, "the case")
    return given


async def test_a_person_shows_in_no_topic_of_ours_no_log_and_no_table(
    demo: RunningDemo, database: asyncpg.Connection, canaries: Canaries
) -> None:
    logs = {path.name: path.read_text(errors="replace") for path in (demo.folder / ".kvittera/logs").glob("*.log")}
    assert sorted(logs) == ["aggregator.log", "notifier.log", "survey.log"]
    stored = await tables(database)
    told = {topic: text.decode("latin-1") for topic, text in (await records(demo)).items()}
    assert canaries.mail in told.pop(DELIVERY_COMPLETED), "the inbound topic must carry the address"

    for canary in canaries.all():
        for where, text in [*logs.items(), *stored.items(), *told.items(), ("terminal", demo.said)]:
            assert canary not in text, where


async def test_a_delivery_is_followed_through_the_logs_of_all_services_by_its_trace_and_by_its_id(
    demo: RunningDemo, canaries: Canaries
) -> None:
    async def counted() -> list[dict[str, Any]]:
        found = [line for line in lines_of(demo) if line.get("delivery_id") == canaries.delivery_id]
        return found if {line.get("topic") for line in found if line["event"] == "counted"} >= COUNTED_FROM else []

    by_id = await until(counted, "the answer's line at the counter")
    [trace_id] = {line["trace_id"] for line in by_id}
    by_trace = [line for line in lines_of(demo) if line.get("trace_id") == trace_id]
    assert {line.get("delivery_id", canaries.delivery_id) for line in by_trace} == {canaries.delivery_id}
    assert {(line["service"], line["event"]) for line in by_trace} >= {
        ("notifier", "decided"),
        ("notifier", "sent"),
        ("survey", "learned"),
        ("survey", "answered"),
        ("survey", "followed up"),
        ("aggregator", "counted"),
    }
    first = {line["event"]: line for line in reversed(by_trace)}
    decided, sent, answered = first["decided"], first["sent"], first["answered"]
    assert (decided["outcome"], sent["result"], sent["channel"]) == ("scheduled", "accepted", "email")
    assert (answered["kept"], answered["revision"]) == (True, 1)
    assert all(line["ms"] >= 0 for line in by_trace)


def lines_of(demo: RunningDemo) -> list[dict[str, Any]]:
    """What the services wrote so far, line by line; the last one of a log may be half written."""
    texts = [path.read_text(errors="replace") for path in (demo.folder / ".kvittera/logs").glob("*.log")]
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


async def test_after_the_erasure_nothing_can_be_opened_any_more_and_the_counters_stay(
    demo: RunningDemo, database: asyncpg.Connection, canaries: Canaries
) -> None:
    person = await database.fetchval("SELECT person FROM notifier.invitation WHERE delivery_id LIKE 'CANARY-%'")
    assert await keys_of(database, person) == 2
    before = scores(demo)

    erased = kvittera(demo.folder, "erase", "--email", canaries.mail, "--yes")
    assert erased.returncode == 0, erased.stdout + erased.stderr
    assert canaries.mail not in erased.stdout

    async def marked() -> int:
        found: int = await database.fetchval("SELECT count(*) FROM survey.response WHERE erased")
        return found

    assert await until(marked, "the survey hears") == 1
    assert await keys_of(database, person) == 0
    assert await database.fetchval("SELECT count(*) FROM survey.contact_wish") == 0
    again = kvittera(demo.folder, "erase", "--email", canaries.mail, "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    audit = kvittera(demo.folder, "audit", "--wait", "30")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    after = scores(demo)
    assert all(now >= then for now, then in zip(after, before, strict=True)), "an erasure took an answer away"


async def keys_of(database: asyncpg.Connection, person: bytes) -> int:
    """How many services hold a key that opens what they keep of a person."""
    held = [
        await database.fetchval(
            f"SELECT count(*) FROM {service}.person_key WHERE person = $1 AND wrapped IS NOT NULL", person
        )
        for service in ("notifier", "survey")
    ]
    return sum(held)


def scores(demo: RunningDemo) -> list[int]:
    """The counts of answers by score, of everything; they may only grow while others answer."""
    done = kvittera(demo.folder, "cells", "--format", "csv")
    assert done.returncode == 0, done.stdout + done.stderr
    header, *rows = (line.split(",") for line in done.stdout.strip().splitlines())
    counts = [i for i, name in enumerate(header) if name in {"answers", "s1", "s2", "s3", "s4", "s5"}]
    [row] = rows
    return [int(row[i]) for i in counts]


async def records(demo: RunningDemo) -> dict[str, bytes]:
    """Every byte of every topic, keys and headers included."""
    consumer = AIOKafkaConsumer(
        *CARDS, bootstrap_servers=demo.servers["KVITTERA_KAFKA_BOOTSTRAP"], auto_offset_reset="earliest"
    )
    await consumer.start()
    seen: dict[str, bytes] = dict.fromkeys(CARDS, b"")
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for partition, batch in (await consumer.getmany(timeout_ms=500)).items():
                seen[partition.topic] += b"".join(
                    (r.key or b"") + (r.value or b"") + b"".join(value for _, value in r.headers if value)
                    for r in batch
                )
    finally:
        await consumer.stop()
    return seen


async def tables(database: asyncpg.Connection) -> dict[str, str]:
    """Every row of every table as text."""
    names = await database.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('notifier', 'survey', 'aggregator')"
    )
    found = {}
    for schema, table in names:
        rows = await database.fetch(f'SELECT * FROM "{schema}"."{table}"')
        values = (value for row in rows for value in row.values())
        found[f"{schema}.{table}"] = "\n".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in values)
    return found
