"""How an installation stands now: deliveries, requests, what waits in each place, and what cannot be reached."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import asyncpg
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import CARDS, RESPONSE_RECORDED
from services.chassis.kafka import make_client, make_consumer
from services.chassis.oldest_waiting import oldest_waiting
from services.chassis.postgres import OwnConnection, connect, named_sql
from services.chassis.settings import Settings
from services.notifier.ledger import Ledger

SERVICES: Final = ("notifier", "survey", "aggregator")
_PATIENCE: Final = 10.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """What one service keeps in PostgreSQL.

    Attributes:
        positions: the next record that it reads of each partition.
        outbox_waiting: rows that Kafka does not have yet.
        outbox_seconds: age of the oldest of them.
        connections: connections to PostgreSQL that its processes hold; 0: none runs.
        told: what only this service knows, by name.
    """

    positions: Mapping[TopicPartition, int]
    outbox_waiting: int
    outbox_seconds: float
    connections: int
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where Kafka's partitions begin and end, and how old the first record is that nobody counted yet."""

    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    uncounted_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """Records of one partition that one service has not read yet."""

    service: str
    topic: str
    partition: int
    records: int


@dataclass(frozen=True, slots=True)
class Status:
    """One look at everything. What could not be looked at is None, or missing, and named in `away`."""

    at: datetime
    stores: Mapping[str, Store]
    broker: Broker | None
    away: tuple[str, ...] = ()

    @property
    def lags(self) -> list[Lag]:
        """Every partition that some service reads, with what waits in it."""
        if self.broker is None:
            return []
        return [
            Lag(service, part.topic, part.partition, max(0, self.broker.ends[part] - at))
            for service, store in self.stores.items()
            for part, at in sorted(store.positions.items())
            if part in self.broker.ends
        ]

    @property
    def dead_letters(self) -> dict[str, int]:
        """Letters that Kafka still keeps, by dead-letter topic; empty topics are left out."""
        letters: dict[str, int] = {}
        if self.broker is not None:
            names = {card.dead_letter for card in CARDS.values() if card.dead_letter}
            for part, end in self.broker.ends.items():
                if part.topic in names and end > self.broker.begins[part]:
                    letters[part.topic] = letters.get(part.topic, 0) + end - self.broker.begins[part]
        return dict(sorted(letters.items()))

    @property
    def behind_seconds(self) -> float | None:
        """How far the counters are behind: age of the oldest answer that is saved and not counted; 0: none is.

        None when the survey, the aggregator or Kafka cannot be looked at.
        """
        survey = self.stores.get("survey")
        if survey is None or "aggregator" not in self.stores or self.broker is None:
            return None
        saved = float(survey.told["unpublished_answer_seconds"])
        return round(max(saved, self.broker.uncounted_seconds), 1)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        found: dict[str, Any] = {
            "at": self.at.isoformat(),
            "away": list(self.away),
            "counters_behind_seconds": self.behind_seconds,
            "lag": [asdict(lag) for lag in self.lags],
            "dead_letters": self.dead_letters if self.broker is not None else None,
            "services": {},
        }
        for service, store in self.stores.items():
            found["services"][service] = {
                "connections": store.connections,
                "outbox_waiting": store.outbox_waiting,
                "outbox_seconds": round(store.outbox_seconds, 1),
                **store.told,
            }
        return found


async def look(settings: Settings) -> Status:
    """Look at everything, each for ten seconds at most. Reads only."""
    stores: dict[str, Store] = {}
    away: list[str] = []
    for service in SERVICES:
        store = await _or_say(_store(settings, service), f"the {service}'s tables", away)
        if store is not None:
            stores[service] = store
    counted = stores["aggregator"].positions if "aggregator" in stores else {}
    broker = await _or_say(_broker(settings, stores, counted), "Kafka", away)
    return Status(datetime.now(UTC), stores, broker, tuple(away))


async def _or_say(work: Awaitable[T], what: str, away: list[str]) -> T | None:
    """What the look found; None and a sentence where it could not."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await work
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedColumnError):
        away.append(f"{what} are not up to date: run `kvittera migrate`")
    except (OSError, TimeoutError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        away.append(f"{what} cannot be reached ({type(error).__name__}): `kvittera doctor` says what to do")
    return None


async def _store(settings: Settings, service: str) -> Store:
    sql = {**named_sql("services", "status.sql"), **named_sql("services.chassis", "outbox.sql")}
    connection = await connect(settings, service, command_timeout=_PATIENCE)
    try:
        outbox = await connection.fetchrow(sql["measure"])
        assert outbox is not None
        return Store(
            {TopicPartition(r["topic"], r["part"]): r["next"] for r in await connection.fetch(sql["positions"])},
            outbox["waiting"],
            outbox["age"],
            await connection.fetchval(sql["connections"], f"kvittera-{service}"),
            await _TELLS[service](connection, sql),
        )
    finally:
        await connection.close()


async def _notifier(connection: OwnConnection, sql: Mapping[str, str]) -> dict[str, Any]:
    rows = await connection.fetch(named_sql("services.notifier")["ledger_counted"])
    volume = named_sql("services.notifier", "volume.sql")
    waits = await connection.fetchrow(volume["what_waits"])
    switch = await connection.fetchrow(volume["switch"])
    assert waits is not None
    ledger = Ledger.of(rows)
    return {
        "deliveries": ledger.sides,
        "deliveries_gap": ledger.gap,
        "invitations": {r["state"]: r["n"] for r in rows if r["state"] not in {"delivered", "suppressed", "withheld"}},
        "due": waits["due"],
        "later": waits["later"],
        "in_doubt": waits["in_doubt"],
        "oldest_doubt_seconds": round(await connection.fetchval(sql["oldest_doubt"]), 1),
        "sending": "unknown" if switch is None else "on" if switch["is_on"] else "paused",
    }


async def _survey(connection: OwnConnection, sql: Mapping[str, str]) -> dict[str, Any]:
    standing = await connection.fetch(named_sql("services.survey", "cases.sql")["standing"], datetime.now(UTC))
    return {
        "cases": {r["state"]: r["cases"] for r in standing},
        "cases_overdue": sum(r["overdue"] for r in standing),
        "unpublished_answer_seconds": await connection.fetchval(sql["oldest_unpublished"], RESPONSE_RECORDED),
    }


async def _aggregator(connection: OwnConnection, sql: Mapping[str, str]) -> dict[str, Any]:
    return {"unpublished_changes": await connection.fetchval(sql["unpublished_cells"])}


_TELLS: Final[Mapping[str, Callable[[OwnConnection, Mapping[str, str]], Awaitable[dict[str, Any]]]]] = {
    "notifier": _notifier,
    "survey": _survey,
    "aggregator": _aggregator,
}


async def _broker(settings: Settings, stores: Mapping[str, Store], counted: Mapping[TopicPartition, int]) -> Broker:
    read = {part.topic for store in stores.values() for part in store.positions}
    wanted = read | {card.dead_letter for card in CARDS.values() if card.dead_letter}
    client = make_client(settings)
    consumer = make_consumer(settings, group=None, client="kvittera-status")
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
        known = wanted & cluster.topics()
        parts = [TopicPartition(t, n) for t in known for n in cluster.partitions_for_topic(t) or ()]
        await consumer.start()
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        waiting = {p: at for p, at in counted.items() if p.topic == RESPONSE_RECORDED and ends.get(p, 0) > at}
        since = await oldest_waiting(consumer, waiting, ends)
        return Broker(begins, ends, 0.0 if since is None else max(0.0, time.time() - since))
    finally:
        await consumer.stop()
        await client.close()
