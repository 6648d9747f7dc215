"""Record batches of Kafka's format 2, written from records in columns: a whole batch with a few operations on arrays.

The format: https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.aggregator.counting.windows import Int64
from services.aggregator.publishing.columns import Parts, joined, length, told, varints
from services.chassis.checksums import crc32c

_BEFORE_CRC = struct.Struct(">qiibI")
_AFTER_CRC = struct.Struct(">hiqqqhii")
_AFTER_LENGTH = 9  # leader epoch, magic and checksum
_MAGIC, _NO_LEADER_EPOCH = 2, -1
_LARGEST: Final = 240 * 1024  # what topics hold at most is 256 KiB
_START: Final = b"\0\0"  # no attributes, the batch's own time
_OWN_LENGTH = 2  # what a record's length takes at most, and its number in the batch


def _text(text: bytes) -> bytes:
    return told(varints(np.array([len(text)])).texts) + text


@dataclass(frozen=True, slots=True)
class SharedHeaders:
    """Headers of which all records share all but one value: what stands before and behind that value."""

    before: bytes
    behind: bytes

    @classmethod
    def of(cls, headers: Sequence[tuple[str, bytes]], own: str) -> "SharedHeaders":
        """All headers, in their order; the value of `own` is each record's own."""
        place = [name for name, _ in headers].index(own)
        written = [_text(name.encode()) + _text(value) for name, value in headers]
        before = told(varints(np.array([len(headers)])).texts) + b"".join(written[:place]) + _text(own.encode())
        return cls(before, b"".join(written[place + 1 :]))


@dataclass(frozen=True, slots=True)
class Records:
    """Records in columns: keys, values and own values of the header, in parts. None is longer than `MOST_VARINT`."""

    key: Parts
    value: Parts
    own: Parts

    def parts(self, headers: SharedHeaders) -> Parts:
        """What each record holds behind its number."""
        sizes = [varints(length(parts)) for parts in (self.key, self.value, self.own)]
        keyed, valued = [sizes[0], *self.key], [sizes[1], *self.value]
        return [*keyed, *valued, headers.before, sizes[2], *self.own, headers.behind]


@dataclass(slots=True)
class WrittenBatch:
    """A batch for one partition; what aiokafka's producer asks of a closed `BatchBuilder`."""

    time_ms: int
    count: int
    body: bytes
    _producer: tuple[int, int, int] = (-1, -1, 0)
    _written: bytes | None = None

    def record_count(self) -> int:
        """How many records it holds."""
        return self.count

    def size(self) -> int:
        """Its bytes."""
        return len(self._build())

    def closed(self) -> bool:
        """Nothing of others is added to it."""
        return True

    def close(self) -> None:
        """It is closed."""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer, self._written = (producer_id, producer_epoch, base_sequence), None

    def _build(self) -> bytes:
        if self._written is None:
            count, time = self.count, self.time_ms
            counted = _AFTER_CRC.pack(0, count - 1, time, time, *self._producer, count)
            checksum = crc32c(counted, self.body)
            length = _AFTER_LENGTH + len(counted) + len(self.body)
            before = _BEFORE_CRC.pack(0, length, _NO_LEADER_EPOCH, _MAGIC, checksum)
            self._written = b"".join((before, counted, self.body))
        return self._written


def written(records: Records, ends: Sequence[int], time_ms: int, headers: SharedHeaders) -> list[list[WrittenBatch]]:
    """Batches for each partition in the order of the records, each as large as may be, and of one record at least.

    `ends` are the partitions' ends in the records.
    """
    parts = records.parts(headers)
    rest = length(parts) + len(_START)
    batches = _batches(np.cumsum(rest + 2 * _OWN_LENGTH), ends)
    first = [begin for of_one in batches for begin, _ in of_one]
    number = np.arange(len(rest)) - np.repeat(first, np.diff([*first, len(rest)]))
    numbers = varints(number)
    rows = joined([varints(rest + numbers.lengths), _START, numbers, *parts])
    return [[WrittenBatch(time_ms, end - begin, told(rows[begin:end])) for begin, end in of_one] for of_one in batches]


def _batches(bytes_to: Int64, ends: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Where each partition's batches begin and end; `bytes_to` is what all records to each one take."""
    batches, first = [], 0
    for end in ends:
        of_one: list[tuple[int, int]] = []
        while first < end:
            before = bytes_to[first - 1] if first else 0
            until = min(end, max(first + 1, int(np.searchsorted(bytes_to, before + _LARGEST, "right"))))
            of_one.append((first, until))
            first = until
        batches.append(of_one)
    return batches
