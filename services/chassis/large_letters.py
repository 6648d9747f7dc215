"""What Kafka refuses for its size: sent again one by one, and a dead letter at last without what does not fit.

A batch is refused as a whole, so its other records are sent alone. And a dead letter must not wait for ever (guarantee
7): what it leaves out still stands in the record's own topic, at the place that the letter tells.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber

from schemas import dead_letter
from services.chassis.record_batches import Record, is_too_large, send_all

log = structlog.get_logger()
_TOO_LARGE: Final = b"; too large to be kept whole"


async def send_smaller(
    producer: AIOKafkaProducer, records: Sequence[Record], outcomes: Sequence[KafkaError | None], *, seconds: float
) -> list[KafkaError | None]:
    """Send again what was refused for its size, and what follows it in its key; returns the outcomes of all.

    What is not begun within `seconds` stays refused, and so does what is behind a record that is refused again.
    """
    now = list(outcomes)
    held: set[tuple[str, bytes | None]] = set()
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    for number in _refused_or_behind(records, outcomes):
        if clock() > until:
            break
        record = records[number]
        if (place := (record.topic, record.key)) in held:
            continue
        now[number] = await _send_one(producer, record)
        if now[number] is not None and record.key is not None:
            held.add(place)
    return now


def _refused_or_behind(records: Sequence[Record], outcomes: Sequence[KafkaError | None]) -> list[int]:
    """Later records of a refused one's key must not come before it, so they go once more."""
    held: set[tuple[str, bytes | None]] = set()
    for record, outcome in zip(records, outcomes, strict=True):
        if is_too_large(outcome) or isinstance(outcome, OutOfOrderSequenceNumber):  # which was behind a refused batch
            held.add((record.topic, record.key))
    return [n for n, record in enumerate(records) if (record.topic, record.key) in held]


async def _send_one(producer: AIOKafkaProducer, record: Record) -> KafkaError | None:
    [outcome] = await send_all(producer, [record])
    for smaller in (without_value, place_only):
        if not is_too_large(outcome) or not is_letter(record):
            break
        [outcome] = await send_all(producer, [smaller(record)])
        if outcome is None:
            log.error("dead letter is too large for its topic", action="leave_out", topic=record.topic)
    return outcome


def is_letter(record: Record) -> bool:
    """Whether a record is a dead letter."""
    return any(name == dead_letter.REASON for name, _ in record.headers)


def without_value(letter: Record) -> Record:
    """A dead letter that tells how many bytes of its record it leaves out."""
    return _emptied(letter._replace(value=None), letter)


def place_only(letter: Record) -> Record:
    """A dead letter with nothing of its record but its place and what was wrong."""
    ours = letter.headers[-len(dead_letter.HEADERS) :]  # ours come last
    return _emptied(Record(letter.topic, None, None, ours), letter)


def _emptied(smaller: Record, letter: Record) -> Record:
    headers = [(n, (v or b"") + _TOO_LARGE if n == dead_letter.DETAIL else v) for n, v in smaller.headers]
    left_out = str(_size_of(letter) - _size_of(smaller)).encode()
    return smaller._replace(headers=[*headers, (dead_letter.LEFT_OUT, left_out)])


def _size_of(record: Record) -> int:
    headers = sum(len(name.encode(errors="replace")) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
