"""Many records in few batches: the same partitions, order and outcomes as one send for each."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.publishing.columns import texts
from services.aggregator.publishing.hashes import murmur2_of
from services.chassis.record_batches import Record, murmur2, partition_of, send_all


@pytest.mark.parametrize(
    ("key", "hashed"),
    # From Kafka's own tests (org.apache.kafka.common.utils.UtilsTest).
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_are_hashed_as_kafka_hashes_them(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed % 2**32


@given(st.binary(max_size=100))
def test_any_key_is_hashed_as_aiokafka_does(key: bytes) -> None:
    assert murmur2(key) == murmur2_of_aiokafka(key)


@given(st.lists(st.text(max_size=20).map(str.encode), max_size=30))
def test_many_keys_are_hashed_as_one_by_one(keys: list[bytes]) -> None:
    halves = [texts([key[:7] for key in keys]), texts([key[7:] for key in keys])]
    assert murmur2_of(halves).tolist() == [murmur2(key) for key in keys]


def test_a_key_has_one_partition_and_no_key_may_have_any() -> None:
    assert partition_of(b"abc", [0, 1, 2, 3]) == 3
    assert {partition_of(None, [0, 1, 2, 3]) for _ in range(200)} == {0, 1, 2, 3}


class Broker:
    """The producer's face, with what came through it."""

    def __init__(self, **refused: KafkaError) -> None:
        self.sent: list[tuple[str, int, int]] = []
        self._refused = refused
        self._txn_manager = None

    async def partitions_for(self, topic: str) -> set[int]:
        if topic == "missing":
            raise UnknownTopicOrPartitionError
        return {0, 1, 2, 3}

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1000, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert batch.closed()
        self.sent.append((topic, partition, batch.record_count()))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refusal = self._refused.get(topic)
        future.set_result(None) if refusal is None else future.set_exception(refusal)
        return future


async def send(broker: Broker, *records: Record) -> list[KafkaError | None]:
    return await send_all(cast("AIOKafkaProducer", broker), records)


async def test_records_share_batches_until_these_are_full() -> None:
    broker = Broker()
    record = Record("t", b"abc", b"v" * 300, [])
    assert await send(broker, *[record] * 5, Record("t", b"abc", None, [])) == [None] * 6
    assert broker.sent == [("t", 3, 3), ("t", 3, 3)]


async def test_a_refused_batch_or_a_missing_topic_is_told_of_its_own_records_only() -> None:
    refusal = MessageSizeTooLargeError()
    broker = Broker(strict=refusal)
    records = [Record(topic, b"abc", b"v", []) for topic in ("t", "strict", "missing", "t", "strict")]
    first, strict, missing, again, also_strict = await send(broker, *records)
    assert (first, again) == (None, None)
    assert strict is also_strict is refusal
    assert isinstance(missing, UnknownTopicOrPartitionError)


@pytest.mark.parametrize(
    "large", [Record("t", b"abc", b"v" * 9_000_000, []), Record("t", b"abc", b"v", [("h", b"v" * 9_000_000)])]
)
async def test_a_record_larger_than_any_request_is_not_sent(large: Record) -> None:
    broker = Broker()
    refused, sent = await send(broker, large, Record("t", b"abc", b"v", []))
    assert isinstance(refused, MessageSizeTooLargeError)
    assert sent is None
    assert broker.sent == [("t", 3, 1)]
