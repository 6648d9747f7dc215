"""What many records mean is what each of them means, in their order."""

from collections.abc import Sequence

from aiokafka import ConsumerRecord, TopicPartition

from services.chassis.deadletter import DeadLetter
from services.chassis.meanings import understood
from tests.harness import record, understand

PART = TopicPartition("t", 0)


def joined_unless_strange(records: Sequence[ConsumerRecord]) -> bytes | None:
    """Plain values as one; None where one of them is a tombstone or bad."""
    values = [r.value for r in records]
    return None if any(v is None or v.startswith(b"bad") for v in values) else b"+".join(values)


def test_records_are_read_together_as_many_as_fit_into_the_cache() -> None:
    records = [record("t", n, b"%d" % n) for n in range(700)]
    found = understood({PART: records}, {}, understand, joined_unless_strange)
    assert [len(value.split(b"+")) for value in found.meant] == [512, 188]
    assert b"+".join(found.meant) == b"+".join(b"%d" % n for n in range(700))


def test_where_one_record_is_strange_each_is_read_by_itself_and_the_order_stays() -> None:
    values = [*[b"%d" % n for n in range(513)], None, b"bad", b"515"]
    found = understood({PART: [record("t", n, v) for n, v in enumerate(values)]}, {}, understand, joined_unless_strange)
    assert found.meant == [b"+".join(b"%d" % n for n in range(512)), b"512", b"515"]
    assert [(letter.record.offset, letter.record.value) for letter in found.dead] == [(514, b"bad")]
    assert dict(found.empty) == {"t": 1}


def test_a_condemned_record_is_put_aside_and_not_read_again() -> None:
    good = record("t", 3, b"3")
    letter = DeadLetter(good, "handler_failed", "ValueError")
    found = understood({PART: [good]}, {(PART, 3): letter}, understand, joined_unless_strange)
    assert (found.meant, found.dead) == ([], [letter])
