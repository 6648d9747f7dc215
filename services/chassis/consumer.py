"""Feeding a fence: where to read from, what to do when reading goes wrong, and when to give up.

Two feeds share this file's `Reader`: our own loop (`own_feed.py`, for the hot path) and FastStream's batch
subscribers (`faststream_feed.py`). Neither trusts Kafka's committed offsets; they are written as a hint
for operators' lag tools only.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from services.chassis.batches import Batch
from services.chassis.failures import MustStop, is_transient
from services.chassis.fence import Fence, Gap
from services.chassis.in_hand import InHand
from services.chassis.kafka import start_with_patience
from services.chassis.lag import Lag
from services.chassis.loop_watch import give_sign, sign_off
from services.chassis.meanings import Meanings
from services.chassis.pauses import cut_short, pause_or_stop, pauses
from services.chassis.place_in_group import PlaceInGroup
from services.chassis.settings import Settings
from services.chassis.starting_point import starting_point
from services.chassis.topic_identity import KnownTopics
from services.chassis.unread_partitions import UnreadPartitions

log = structlog.get_logger()
T = TypeVar("T")
_HINT_EVERY = 5.0
_IDENTITY_EVERY = 5.0


async def _held_by_nobody() -> bool:
    return False


class Reader(ConsumerRebalanceListener, Generic[T]):  # type: ignore[misc]
    """Positions a consumer by the fence's progress, hands batches over, and watches that things move."""

    def __init__(
        self,
        settings: Settings,
        fence: Fence[T],
        topics: Iterable[str],
        member: str | None = None,
        held: Callable[[], Awaitable[bool]] = _held_by_nobody,
    ) -> None:
        self.settings = settings
        self.held = held
        self.fence = fence
        self.topics = tuple(topics)
        self.member = member
        self._consumer: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self.failure: BaseException | None = None
        self.place = PlaceInGroup(settings, fence.group)
        self._began: dict[TopicPartition, int] = {}
        self._seeks: Counter[TopicPartition] = Counter()
        self._in_hand = 0
        self._lag = Lag(fence.metrics, self.applied_to, busy=lambda: self._in_hand > 0)
        self._identities = KnownTopics(settings, self.topics)
        self._unread = UnreadPartitions()
        self._moved = time.monotonic()
        self._stop = asyncio.Event()
        fence.log_start = self._log_start

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer that reads for us, where there is one now."""
        return self._consumer()

    @property
    def lag(self) -> int:
        """Records that waited for this process when it was last measured."""
        return self._lag.records

    def read_through(self, consumer: Callable[[], AIOKafkaConsumer | None]) -> None:
        """Say where to find the consumer; it may come and go."""
        self._consumer = consumer

    def is_reading(self) -> bool:
        """Whether this process reads its share, and nobody leaves a partition out; not while Kafka is away."""
        read = self.consumer is not None and self.place.joined and not self._unread.found
        return read and self._lag.away_since is None

    def is_cut_off(self, seconds: float) -> bool:
        """Whether Kafka has not answered for these seconds or longer, though this process had its share of it."""
        since = self._lag.away_since
        if self.consumer is None or not self.place.joined or since is None:
            return False
        return time.monotonic() - since >= seconds

    def partitions(self) -> list[TopicPartition]:
        """All partitions of our topics, whoever reads them."""
        return [partition for topic in self.topics for partition in self._identities[topic].parts(topic)]

    def applied_to(self, partition: TopicPartition) -> int:
        """The next offset of a partition that this process has not applied; -1 where another one reads it."""
        at = self.fence.cursors.get(partition, self._began.get(partition, -1))
        return max(at, self._lag.passed(partition))

    async def prepare(self, stop: asyncio.Event) -> bool:
        """Learn the topics' identities before the first record can arrive. Returns False when told to stop.

        Raises:
            MustStop: Kafka does not answer, or a topic is missing.
        """
        return await start_with_patience(self._identities.learn, self.settings, self.fence.group, stop=stop)

    def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        """Forget what was read; another process may be ahead when partitions come back. All are revoked at once."""
        # A new dict: a batch that is being applied now must not leave its cursor for the next ownership.
        self.fence.cursors = {}
        self.place.joined = False
        self._lag.let_go(self._began)
        self._began.clear()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Read on from our own progress. aiokafka swallows what is raised here, so failures are kept."""
        patience = self.place.assigned() + self.settings.stall_seconds
        for pause in pauses(first=0.1, longest=2):
            try:
                assert self.consumer is not None
                # What came before all are positioned would be read for nothing, and leave some ahead of others.
                self.consumer.pause(*assigned)
                # A topic made again calls for a new assignment. One that was away when partitions were given out is
                # not in it: it stays as it was learned, and `watch` finds that it is another one.
                await self._identities.learn_anew({p.topic for p in assigned})
                for partition in sorted(assigned):
                    await self._position(partition)
                self.consumer.resume(*assigned)
            except Exception as error:  # noqa: BLE001  handed to `watch`, which ends the process
                if is_transient(error) and time.monotonic() < patience:
                    if await pause_or_stop(pause, self._stop):
                        return
                    continue
                self.failure = error
            self.place.positioned()
            return

    async def _position(self, partition: TopicPartition) -> None:
        assert self.consumer is not None
        at = await starting_point(self.fence.pool, self.consumer, partition, self._identities[partition.topic])
        # Not a cursor yet: records fetched before this seek may still be on their way (H25).
        self._began[partition] = at
        self.fence.cursors.pop(partition, None)
        self._seeks[partition] += 1
        self.consumer.seek(partition, at)

    async def _log_start(self, partition: TopicPartition) -> int:
        assert self.consumer is not None
        offsets: dict[TopicPartition, int] = await self.consumer.beginning_offsets([partition])
        return offsets[partition]

    def receive(self, batch: Batch) -> InHand[T]:
        """Take what Kafka handed over into our hands, in the same step in which it came; `take` must follow."""
        self._in_hand += 1
        return InHand(batch, dict(self._seeks))

    async def read_ahead(self, received: InHand[T]) -> None:
        """Find out what a batch means while the one before it is applied."""
        received.meanings = await self.fence.read(received.batch)

    async def take(self, received: InHand[T]) -> None:
        """Apply a batch, waiting out passing failures; on a gap, go back and read again.

        Raises:
            MustStop: going on would lose something.
        """
        try:
            ours = {p: records for p, records in received.batch.items() if self._still_ours(p, received)}
            for partition in ours:
                self._lag.read_on(partition)
            meanings = received.meanings if len(ours) == len(received.batch) else None
            for pause in pauses() if ours else ():
                if await self._taken(ours, meanings) or await pause_or_stop(pause, self._stop):
                    return
        finally:
            self._in_hand -= 1

    def _still_ours(self, partition: TopicPartition, received: InHand[T]) -> bool:
        # Records can come before their partition was positioned (H25), and may have been read before we had to go
        # back: the seek brings them again.
        return partition in self._began and self._seeks[partition] == received.seeks.get(partition, 0)

    async def _taken(self, batch: Batch, meanings: Meanings[T] | None) -> bool:
        if self.failure is not None:
            raise self.failure
        if self._stop.is_set():
            return True  # an earlier batch may have been given up; taking this one would leave a hole
        try:
            if any(records[0].offset < self.applied_to(p) for p, records in batch.items()):
                await self._identities.check()  # reading jumped back without us: is this still the same topic?
            await self.fence.take(batch, meanings)
        except Gap as gap:
            self._go_back(gap.positions)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("will try again", action="retry", what="batch", error=type(error).__name__)
            self.fence.metrics.count("kvittera_retries_total", what="batch")
            return False
        return True

    def _go_back(self, positions: dict[TopicPartition, int]) -> None:
        for partition, at in positions.items():
            if self.consumer is None:
                return  # stopping
            try:
                self._seeks[partition] += 1
                self.consumer.seek(partition, at)
                self.fence.cursors[partition] = at
            except IllegalStateError:
                self.fence.cursors.pop(partition, None)  # no longer ours; its new owner reads it

    async def watch(self, stop: asyncio.Event) -> None:
        """Report lag, leave the offset hint, and end the process when records wait and nothing moves.

        Raises:
            MustStop: a kept failure, a changed topic, no movement for KVITTERA_STALL_SECONDS, or no place in the group.
        """
        try:
            await cut_short(self._watch(stop), stop, finish_within=0)
        finally:
            sign_off(self.fence.group)
            self._stop.set()  # whoever waits for the database or for Kafka ends too

    async def _watch(self, stop: asyncio.Event) -> None:
        hinted = time.monotonic()
        # Apart: a PostgreSQL that is cut off keeps them waiting, and must not keep the watch.
        apart = [asyncio.create_task(look(stop)) for look in (self._look_at_topics, self._look_at_hold)]
        try:
            while not await pause_or_stop(0.5, stop):
                give_sign(self.fence.group)
                if self.failure is not None:
                    raise self.failure
                for look in apart:
                    if look.done():
                        await look
                self.place.check(self.consumer)
                if not await self._measure_lag():
                    self._moved = time.monotonic()
                elif time.monotonic() - max(self._moved, self.fence.moved) > self.settings.stall_seconds:
                    raise MustStop(f"{self.lag} records wait for {self.fence.group} and nothing moves: starting anew")
                if time.monotonic() - hinted > _HINT_EVERY:
                    hinted = time.monotonic()
                    await self._leave_hint()
        finally:
            for look in apart:
                look.cancel()

    async def _measure_lag(self) -> int:
        return 0 if self.consumer is None else await self._lag.measure(self.consumer, self._began)

    async def _leave_hint(self) -> None:
        if self.consumer is None:
            return
        mine = self.consumer.assignment()
        done = {p: at for p, at in self.fence.cursors.items() if p in mine}
        try:
            async with asyncio.timeout(5):
                if done:
                    await self.consumer.commit(done)
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("offset hint not left", error=type(error).__name__)

    async def _look_at_topics(self, stop: asyncio.Event) -> None:
        while not await pause_or_stop(_IDENTITY_EVERY, stop):
            heard = False
            try:
                topics = await self._identities.check()
                heard = await self.place.is_heard()
                if self.consumer is not None and self.place.joined:
                    await self._unread.look(self.fence.pool, topics, self.consumer)
            except Exception as error:
                if not is_transient(error):
                    raise  # Kafka being away is the stall watch's business, PostgreSQL that of the next batch
            self.place.heard = heard

    async def _look_at_hold(self, stop: asyncio.Event) -> None:
        # What somebody holds on purpose a new process would wait for as well. After `max_poll_interval_ms` without a
        # fetch aiokafka leaves the group, and joins it again with the next one.
        while not await pause_or_stop(self.settings.stall_seconds / 4, stop):
            try:
                if (self.lag or self._in_hand) and await self.held():
                    self._moved = time.monotonic()
                    self.place.excuse()
            except Exception as error:
                if not is_transient(error):
                    raise
