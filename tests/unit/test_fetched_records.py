"""Records that come a batch at a time are those that aiokafka would hand out one by one, at the same positions."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from services.chassis.fetched_records import _Batches, _FetchResult, _PartitionRecords

HERE = TopicPartition("t", 3)


def batch(*offsets: int, producer: int = -1, transactional: bool = False) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, transactional, producer, 0, 0, 1 << 20)
    first = offsets[0]
    for offset in offsets:
        builder.append(offset - first, 1_000 + offset, b"k%d" % offset, b"v%d" % offset, [("ce_id", b"%d" % offset)])
    built = builder.build()
    built[0:8] = first.to_bytes(8, "big")  # not under the checksum
    return bytes(built)


def fetched(*batches: bytes, at: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> _PartitionRecords:
    return _PartitionRecords(HERE, _Batches(b"".join(batches)), aborted, at, None, None, True, READ_COMMITTED)


def checksum(written: bytes | bytearray) -> bytes:
    return int(calc_crc32c(bytes(written[21:]))).to_bytes(4, "big")


def offsets(records: Sequence[Any]) -> list[int]:
    return [record.offset for record in records]


@dataclass
class Assigned:
    position: int = 0
    paused: bool = False
    active: bool = True
    taken: list[int] = field(default_factory=list)

    def state_value(self, _: TopicPartition) -> "Assigned":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def result_of(assigned: Assigned, records: _PartitionRecords) -> _FetchResult:
    return _FetchResult(HERE, assignment=assigned, partition_records=records, backoff=0)


def test_a_record_says_all_that_aiokafkas_says() -> None:
    [record] = fetched(batch(7), at=7).some(None)
    said = (record.topic, record.partition, record.offset, record.timestamp, record.timestamp_type)
    assert said == ("t", 3, 7, 1_007, 0)
    assert (record.key, record.value, record.headers) == (b"k7", b"v7", [("ce_id", b"7")])


def test_so_many_are_handed_out_as_are_wanted_and_the_position_is_behind_them() -> None:
    records = fetched(batch(0, 1, 2), batch(3, 4, 5))
    positions = []
    taken = []
    for most in (2, 1, 2, 9):
        taken.append(offsets(records.some(most)))
        positions.append((records.next_fetch_offset, records.ended))
    assert taken == [[0, 1], [2], [3, 4], [5]]
    assert positions == [(2, False), (3, False), (5, False), (6, True)]


def test_records_in_front_of_the_position_are_left_out() -> None:
    assert offsets(fetched(batch(0, 1, 2), batch(3), at=2).some(None)) == [2, 3]
    assert offsets(fetched(batch(0, 1), batch(2), at=2).some(None)) == [2]


def test_the_position_is_behind_what_compaction_took_from_the_end_of_a_batch() -> None:
    whole = bytearray(batch(0, 1, 5))
    whole[23:27] = (9).to_bytes(4, "big")  # the batch once ended at 9
    whole[17:21] = checksum(whole)
    records = fetched(bytes(whole))
    assert (offsets(records.some(None)), records.next_fetch_offset) == ([0, 1, 5], 10)


def test_what_was_aborted_is_not_handed_out() -> None:
    records = fetched(
        batch(0, 1, producer=8, transactional=True), batch(2, producer=9, transactional=True), aborted=[(8, 0)]
    )
    assert (offsets(records.some(None)), records.next_fetch_offset) == ([2], 3)


def broken(written: bytes) -> bytes:
    return written[:-1] + bytes([written[-1] ^ 1])


def test_nothing_is_lost_in_front_of_a_broken_batch() -> None:
    assigned = Assigned()
    result = result_of(assigned, fetched(batch(0, 1), broken(batch(2, 3))))
    assert (result.getall(), assigned.position, result.has_more()) == ([], 0, True)
    with pytest.raises(CorruptRecordException, match="Invalid CRC"):
        result.check_raise()
    # One by one there is nothing else that could be lost. What remains is not handed out, and all is fetched again.
    result = result_of(assigned, fetched(batch(0, 1), broken(batch(2, 3))))
    assert (offsets([result.getone(), result.getone()]), assigned.position) == ([0, 1], 2)
    with pytest.raises(CorruptRecordException, match="Invalid CRC"):
        result.getone()
    assert (result.getone(), assigned.position) == (None, 2)


class Reading:
    """As much of aiokafka's fetcher as hands out what was fetched."""

    _closed = False
    _wait_consume_future = None
    _subscriptions = SimpleNamespace(reassignment_in_progress=False, is_assigned=lambda _: True)

    def __init__(self, **results: _FetchResult) -> None:
        self._records = {TopicPartition(name, 0): result for name, result in results.items()}

    def _notify(self, _: None) -> None:
        """Nobody fetches here."""

    def _create_fetch_waiter(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    async def next(self) -> dict[str, list[int]]:
        found = await fetcher.Fetcher.fetched_records(self, [], timeout=0.01)
        return {partition.topic: offsets(records) for partition, records in found.items()}


async def test_a_partition_that_cannot_be_read_takes_nothing_of_others_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetcher, "FetchResult", _FetchResult)
    good, bad, last = Assigned(), Assigned(), Assigned()
    reading = Reading(
        good=result_of(good, fetched(batch(0, 1), batch(2))),
        bad=result_of(bad, fetched(batch(0), broken(batch(1)))),
        last=result_of(last, fetched(batch(0))),
    )
    assert await reading.next() == {"good": [0, 1, 2], "last": [0]}
    with pytest.raises(CorruptRecordException):
        await reading.next()
    assert (good.position, bad.position, last.position) == (3, 0, 1)
    assert await reading.next() == {}  # what could not be read is gone, and is fetched again


def test_many_are_handed_out_one_by_one_as_quickly_as_together() -> None:
    records = fetched(batch(*range(3_000)))
    assert [record.offset for _ in range(3_000) for record in records.some(1)] == [*range(3_000)]
    assert (records.some(1), records.ended) == ([], True)


def test_records_that_would_not_be_handed_out_as_bytes_are_refused() -> None:
    with pytest.raises(AssertionError, match="bytes"):
        _PartitionRecords(HERE, _Batches(batch(0)), [], 0, None, bytes.decode, True, READ_COMMITTED)


def test_batches_of_older_formats_are_checked_their_own_way() -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    builder.append(0, 1_000, b"k", b"v")
    written = bytes(builder.build())
    assert offsets(fetched(written).some(None)) == [0]
    with pytest.raises(CorruptRecordException):
        fetched(broken(written)).some(None)


def test_what_was_fetched_is_over_when_all_of_it_is_handed_out() -> None:
    assigned = Assigned()
    result = result_of(assigned, fetched(batch(0, 1), batch(2)))
    assert (offsets(result.getall(2)), assigned.position, result.has_more()) == ([0, 1], 2, True)
    one = result.getone()
    assert one is not None
    assert (one.offset, assigned.position) == (2, 3)
    assert (result.getone(), result.has_more(), result.getall()) == (None, False, [])


@pytest.mark.parametrize("change", [{"position": 1}, {"paused": True}, {"active": False}])
def test_nothing_is_handed_out_of_a_partition_that_is_read_elsewhere_by_now(change: dict[str, Any]) -> None:
    result = result_of(Assigned(**change), fetched(batch(0)))
    assert (result.getall(), result.has_more()) == ([], False)
