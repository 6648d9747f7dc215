"""Everything counted anew from the topics, in a schema beside the live one, and compared with it bit for bit.

Nothing is published and nobody's place moves; counting goes on meanwhile. The shadow is brought to the very
positions of one snapshot of the live tables, and the counters of that moment are compared.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from schemas.topics import CARDS
from services.aggregator.counting.reading import GROUP, TOPICS, Counted, reader
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import unpack, window_start
from services.aggregator.handlers import CountBatch
from services.aggregator.history.past import Positions, batches, begin, counted_up_to, reading_again
from services.chassis.applied_batches import name_of
from services.chassis.failures import MustStop
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, OwnConnection, check_migrated, connect, migrate, named_sql, open_pool
from services.chassis.settings import Settings

_LIVE, _SHADOW, _PACKAGE = "aggregator", "aggregator_shadow", "services.aggregator"
_CLOSE_BY = 5_000


@dataclass(frozen=True, slots=True)
class DifferingCell:
    """A cell that is counted otherwise live than from the topics; counters in the order of the table."""

    cut: str
    value: str
    window: str
    start: str | None
    live: Sequence[int] | None
    shadow: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes:
        read: records read from the topics.
        counted: of those, answers and decisions.
        put_aside: of those, records that nobody can count.
        skipped: of those, tombstones.
        missing: records at the beginning of the topics that Kafka does not have any more.
        cells: live cells that were compared.
    """

    read: int
    counted: int
    put_aside: int
    skipped: int
    missing: int
    cells: int
    seconds: float
    differing: list[DifferingCell] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both hold the same, and every record was accounted for."""
        return not self.differing and self.read == self.counted + self.put_aside + self.skipped


@dataclass(slots=True)
class _Tally:
    """Counts records on their way through the fence. A batch may be tried again, so what is empty is kept by name."""

    read: int = 0
    empty: set[str] = field(default_factory=set)


async def replay(settings: Settings, *, keep: bool = False) -> Replay:
    """Count all that the topics hold into a shadow schema and compare; `keep` leaves the schema to look at.

    Raises:
        MustStop: nothing was ever counted, or Kafka or PostgreSQL cannot be reached.
    """
    began = time.monotonic()
    connection = await connect(settings, _LIVE, command_timeout=3600)
    try:
        await check_migrated(connection, _LIVE, _PACKAGE)
        if not await StoredCuts().all(connection):
            raise MustStop("nothing was counted yet: start the aggregator first")
        await _make_schema(settings, connection)
        try:
            return await _count_and_compare(settings, connection, began)
        finally:
            if not keep:
                await connection.execute(f'DROP SCHEMA "{_SHADOW}" CASCADE')
    finally:
        await connection.close()


async def _make_schema(settings: Settings, connection: OwnConnection) -> None:
    sql = named_sql(_PACKAGE, "shadow.sql")
    await connection.execute(f'DROP SCHEMA IF EXISTS "{_SHADOW}" CASCADE')
    own = await connect(settings, _SHADOW)
    try:
        await migrate(own, _SHADOW, _PACKAGE)
    finally:
        await own.close()
    async with connection.transaction():
        await connection.execute(sql["copy_cuts"])
        await connection.execute(sql["copy_counting"])


async def _count_and_compare(settings: Settings, connection: OwnConnection, began: float) -> Replay:
    sql, tally, metrics = named_sql(_PACKAGE, "shadow.sql"), _Tally(), Metrics()
    pool = await open_pool(settings, _SHADOW, prepare=partial(_make_incoming, named_sql(_PACKAGE)["make_incoming"]))

    understand = reader()

    def decode(record: ConsumerRecord) -> Counted | None:
        meant = understand(record)
        if meant is None:
            tally.empty.add(name_of(record))
        return meant

    fence: Fence[Counted] = Fence(
        pool=pool,
        service=_LIVE,
        group=GROUP,
        decode=decode,
        apply=CountBatch(Units(pool, ()), metrics, lambda _, __: None),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=metrics,
    )
    try:
        async with reading_again(settings, "kvittera-replay") as consumer:
            positions = await counted_up_to(connection)
            first = await begin(consumer, positions)
            await connection.executemany(
                sql["copy_progress"], [(p.topic, p.partition, offset) for p, offset in first.items()]
            )
            at: Positions = first
            while sum(positions.values()) - sum(at.values()) > _CLOSE_BY:
                await _take(fence, consumer, positions, tally)
                at, positions = positions, await counted_up_to(connection)
            async with connection.transaction(isolation="repeatable_read"):
                positions = await counted_up_to(connection)
                await connection.execute(sql["make_live"])
            await _take(fence, consumer, positions, tally)
        await connection.execute(sql["drop_old_minutes"])
        differing = [_differing(r) for r in await connection.fetch(sql["compare"])]
        put_aside = await connection.fetchval(sql["put_aside"])
        return Replay(
            read=tally.read,
            counted=_applied(metrics),
            put_aside=put_aside,
            skipped=len(tally.empty),
            missing=sum(first.values()),
            cells=await connection.fetchval(sql["live_cells"]),
            seconds=time.monotonic() - began,
            differing=differing,
        )
    finally:
        pool.terminate()


async def _make_incoming(statement: str, connection: Database) -> None:
    await connection.execute(statement)


async def _take(fence: Fence[Counted], consumer: AIOKafkaConsumer, targets: Positions, tally: _Tally) -> None:
    async for batch in batches(consumer, targets):
        await fence.take(batch)
        tally.read += sum(map(len, batch.values()))


def _applied(metrics: Metrics) -> int:
    """Records whose effects the fence committed."""
    samples = [s for m in metrics.registry.collect() for s in m.samples if s.name == "kvittera_records_total"]
    return int(sum(s.value for s in samples if s.labels["result"] == "applied"))


def _differing(row: asyncpg.Record) -> DifferingCell:
    _, window, index = unpack(row["place"])
    start = window_start(window, index)
    return DifferingCell(row["cut"], row["value"], window.value, start, row["live"], row["shadow"])
