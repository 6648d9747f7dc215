"""Records whose headers have names of any bytes are read like others, and their neighbours as they are."""

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.memory_records import MemoryRecords

from services.chassis.fetched_records import _Batches, _PartitionRecords
from services.chassis.record_batches import Record
from tests.strange_batches import AS_READ, BYTES, STAND_IN, strange_batch

GOOD = Record("t", b"k", b"1", [("ce_id", b"\xff"), ("höger", None)])
STRANGE = Record("t", None, BYTES, [("ce_id", b"x"), (STAND_IN, BYTES), (STAND_IN, None)])
LAST = Record("t", b"k", None, [])


def read(fetched: bytes) -> list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
    batches = _Batches(fetched)
    records = _PartitionRecords(TopicPartition("t", 0), batches, [], 0, None, None, True, READ_COMMITTED)
    return [(r.offset, r.key, r.value, r.headers) for r in records.some(None)]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_only_the_bytes_of_the_name_that_are_no_text_change(compressed: bool) -> None:
    assert read(strange_batch([GOOD, STRANGE, LAST], compressed=compressed)) == [
        (0, b"k", b"1", [("ce_id", b"\xff"), ("höger", None)]),
        (1, None, BYTES, [("ce_id", b"x"), (AS_READ, BYTES), (AS_READ, None)]),
        (2, b"k", None, []),
    ]


def test_batches_before_and_behind_are_read_too() -> None:
    whole = strange_batch([GOOD]) + strange_batch([STRANGE, LAST], at=1)
    next_one = strange_batch([LAST], at=3)
    three = [(0, b"1"), (1, BYTES), (2, None)]
    assert [(offset, value) for offset, _, value, _ in read(whole + next_one)] == [*three, (3, None)]
    cut_off = read(whole + next_one[:40])  # a fetch ends where it is full
    assert [(offset, value) for offset, _, value, _ in cut_off] == three


def test_aiokafka_by_itself_cannot_read_them() -> None:
    with pytest.raises(UnicodeDecodeError):
        [*MemoryRecords(strange_batch([GOOD, STRANGE])).next_batch()]
