"""The fence: effects and reading position commit in one PostgreSQL transaction (guarantees 2 and 7).

Kafka's group membership only spreads the load. Whoever applies a batch first moves `progress.next`;
anybody else who brings the same records finds them below `next` and drops them.
"""

import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

import asyncpg
import structlog
from aiokafka import ConsumerRecord, TopicPartition

from services.chassis.applied_batches import count_batch, start_counting, trace_batch
from services.chassis.batches import Batch, by_partition
from services.chassis.deadletter import DeadLetter, pack_headers
from services.chassis.failures import MustStop, Poison, is_transient
from services.chassis.meanings import Condemned, Decode, Meanings, Together, understood, understood_ahead
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.record_lines import Became, RecordLines
from services.chassis.traces import Traces

log = structlog.get_logger()
T = TypeVar("T")

Apply = Callable[[Database, list[T]], Awaitable[Became | None]]
"""The effects of a batch, inside the transaction. Must not touch anything but the connection."""


class Gap(Exception):
    """Records between what was applied and what was handed out are missing: read again from `next`."""

    def __init__(self, positions: dict[TopicPartition, int]) -> None:
        super().__init__(f"{len(positions)} partitions")
        self.positions = positions


_NOT_THE_RECORDS_FAULT: Final = (Gap, MustStop, MemoryError)
"""What says nothing about a record. Without memory every record would fail, and good ones be put aside."""


@dataclass(slots=True)
class Fence(Generic[T]):
    """Applies batches exactly once.

    Attributes:
        together: reads many records at once, where that is cheaper.
        cursors: per partition, where this process's gapless reading has come to.
        log_start: the first offset that Kafka still has; set by whoever feeds the fence.
        committed: called after each commit.
        putting_aside: done in the transaction with each dead letter.
        moved: when the last commit was, on the monotonic clock.
    """

    pool: Pool
    service: str
    group: str
    decode: Decode[T]
    apply: Apply[T]
    dead_letter_topics: Mapping[str, str]
    metrics: Metrics
    attempts: int = 3
    together: Together[T] | None = None
    traces: Traces = field(default_factory=lambda: Traces("untold"))
    lines: RecordLines = field(default_factory=RecordLines)
    cursors: dict[TopicPartition, int] = field(default_factory=dict)
    log_start: Callable[[TopicPartition], Awaitable[int]] | None = None
    committed: Callable[[], None] = lambda: None
    putting_aside: Callable[[Database, DeadLetter], Awaitable[None]] | None = None
    moved: float = -math.inf
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "progress.sql"))

    def __post_init__(self) -> None:
        start_counting(self.metrics, self.dead_letter_topics)

    async def read(self, batch: Batch) -> Meanings[T]:
        """What the records mean, found out while others go on; it stays true until they are applied."""
        return await understood_ahead(batch, self.decode, self.together)

    async def take(self, batch: Batch, meanings: Meanings[T] | None = None) -> None:
        """Apply a batch in one transaction, with its dead letters, and advance; `meanings` are those of the whole.

        Raises:
            Gap: not all was applied; read again from the positions it names.
            Transient database errors, after which the same call may be made again.
        """
        if sum(map(len, batch.values())) == 1:
            [(partition, [record])] = batch.items()
            await self._alone(batch, partition, record)
            return
        try:
            await self._commit(batch, {}, meanings)
        except _NOT_THE_RECORDS_FAULT:
            raise
        except Exception as error:
            if is_transient(error):
                raise
            log.warning(
                "batch failed, going on by halves",
                action="isolate",
                error=type(error).__name__,
                group=self.group,
            )
            await self._by_halves(batch)

    async def _by_halves(self, batch: Batch) -> None:
        """Until a bad record stands alone: its neighbours cost a few commits, not one each."""
        records = [record for of_partition in batch.values() for record in of_partition]
        middle = len(records) // 2
        try:
            for half in (records[:middle], records[middle:]):
                await self.take(by_partition(half))
        except Gap as gap:
            # What the other half holds of other partitions was not applied either.
            raise Gap({p: self.cursors.get(p, of_p[0].offset) for p, of_p in batch.items()} | gap.positions) from None

    async def _alone(self, batch: Batch, partition: TopicPartition, record: ConsumerRecord) -> None:
        for attempt in range(1, self.attempts + 1):
            try:
                await self._commit(batch, {})
            except _NOT_THE_RECORDS_FAULT:
                raise
            except Exception as error:
                if is_transient(error):
                    raise
                if isinstance(error, asyncpg.SyntaxOrAccessError):
                    raise MustStop(
                        f"PostgreSQL refuses {self.service}'s own statement ({type(error).__name__}), whatever the"
                        " record: check the schema with `kvittera migrate`, and the rights of its user"
                    ) from error
                if attempt == self.attempts:
                    detail = error.detail if isinstance(error, Poison) else type(error).__name__
                    reason = error.reason if isinstance(error, Poison) else "handler_failed"
                    log.exception(
                        "record cannot be processed",
                        action="dead_letter",
                        topic=record.topic,
                        partition=record.partition,
                        offset=record.offset,
                    )
                    await self._commit(batch, {(partition, record.offset): DeadLetter(record, reason, detail)})
            else:
                return

    async def _commit(self, batch: Batch, condemned: Condemned, meanings: Meanings[T] | None = None) -> None:
        started, since = time.perf_counter(), time.time_ns()
        cursors = self.cursors  # those of this ownership; a rebalance puts others in their place
        partitions = sorted(batch)
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                self._sql["lock_partitions"], [p.topic for p in partitions], [p.partition for p in partitions]
            )
            positions = {TopicPartition(r["topic"], r["part"]): r["next"] for r in rows}
            fresh = self._fresh(batch, positions)
            await self._refuse_lost_records(fresh, positions)
            whole = meanings if sum(map(len, fresh.values())) == sum(map(len, batch.values())) else None
            told = whole or understood(fresh, condemned, self.decode, self.together)
            became = await self.apply(connection, told.meant) if told.meant else None
            for letter in told.dead:
                await self._keep(connection, letter)
            await self._advance(connection, positions, fresh)
        for partition, records in batch.items():
            cursors[partition] = records[-1].offset + 1
        self.moved = time.monotonic()
        self.committed()
        if not fresh:
            return
        took = time.perf_counter() - started
        put_aside = Counter(letter.record.topic for letter in told.dead)
        if became is not None:
            became.count()
        count_batch(self.metrics, self.group, fresh, put_aside, told.empty, took)
        traced = trace_batch(self.traces, self.service, self.group, fresh, since) if self.traces.on else ()
        of = None if became is None else became.of
        self.lines.tell_batch(self.group, fresh, told.dead, told.empty.total(), took, traced, of)

    def _fresh(
        self, batch: Batch, positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What has not been applied yet. Offsets may have holes (control records, compaction), reads may not."""
        gap = False
        fresh: dict[TopicPartition, list[ConsumerRecord]] = {}
        for partition, records in batch.items():
            if partition not in positions:
                raise MustStop(f"no progress is kept for {partition.topic}/{partition.partition}")
            at = positions[partition]
            read_from = self.cursors.get(partition, records[0].offset)
            if records[0].offset > at and read_from > at:
                gap = True
            elif new := [r for r in records if r.offset >= at]:
                fresh[partition] = new
        if gap:
            # Nothing of the batch is applied, so its other partitions must be read again too.
            raise Gap({p: positions[p] for p in batch})
        return fresh

    async def _refuse_lost_records(
        self,
        fresh: Mapping[TopicPartition, Sequence[ConsumerRecord]],
        positions: Mapping[TopicPartition, int],
    ) -> None:
        """A hole is harmless (control records, compaction) unless Kafka has deleted what we had not read."""
        for partition, records in fresh.items():
            at = positions[partition]
            if (
                records[0].offset > at
                and self.log_start is not None
                and (start := await self.log_start(partition)) > at
            ):
                raise MustStop(
                    f"{partition.topic}/{partition.partition}: records {at} to {start - 1} were deleted before"
                    " they were read; refill the topic with `kvittera republish`, or accept the loss by moving the"
                    " progress row"
                )

    async def _keep(self, connection: Database, letter: DeadLetter) -> None:
        await connection.execute(
            self._sql["keep_dead_letter"],
            self.dead_letter_topics[letter.record.topic],
            letter.record.key,
            letter.record.value,
            pack_headers(letter.headers(self.service, datetime.now(UTC))),
        )
        if self.putting_aside is not None:
            await self.putting_aside(connection, letter)

    async def _advance(
        self,
        connection: Database,
        positions: Mapping[TopicPartition, int],
        fresh: Mapping[TopicPartition, Sequence[ConsumerRecord]],
    ) -> None:
        if not fresh:
            return
        moved = sorted(fresh)
        status = await connection.execute(
            self._sql["advance_partitions"],
            [p.topic for p in moved],
            [p.partition for p in moved],
            [positions[p] for p in moved],
            [fresh[p][-1].offset + 1 for p in moved],
        )
        if status != f"UPDATE {len(moved)}":
            # Somebody else applied these records: nothing of ours may stay.
            raise Gap({p: positions[p] for p in moved})
