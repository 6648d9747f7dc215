"""Record batches of Kafka's format 2, written from records that share their headers: one join for each record.

The format: https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka.record.util import calc_crc32c

_BEFORE_CRC = struct.Struct(">qiibI")
_AFTER_CRC = struct.Struct(">hiqqqhii")
_AFTER_LENGTH = 9  # leader epoch, magic and checksum
_MAGIC, _NO_LEADER_EPOCH = 2, -1
_LARGEST: Final = 128 * 1024  # what topics hold at most is twice that
_START = b"\0\0"  # no attributes, the batch's own time
_OWN_LENGTH = 3  # what a record's length takes at most, up to 1 MiB
Told = tuple[bytes, bytes, bytes, int]
"""A record: key, value, its own value of the header, and the version that it tells."""


class _Varints(dict[int, bytes]):
    """Numbers from 0 on as zigzag varints; each is written once."""

    def __missing__(self, number: int) -> bytes:
        rest, written = number << 1, bytearray()
        while rest > 127:  # noqa: PLR2004  seven bits a byte
            written.append(rest & 127 | 128)
            rest >>= 7
        written.append(rest)
        self[number] = found = bytes(written)
        return found


_VARINTS: Final = _Varints()


def _text(text: bytes) -> bytes:
    return _VARINTS[len(text)] + text


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
        before = _VARINTS[len(headers)] + b"".join(written[:place]) + _text(own.encode())
        return cls(before, b"".join(written[place + 1 :]))


@dataclass(slots=True)
class WrittenBatch:
    """A batch for one partition; what aiokafka's producer asks of a closed `BatchBuilder`.

    `versions` are the keys of its records with the versions that they tell.
    """

    time_ms: int
    headers: SharedHeaders
    versions: list[tuple[bytes, int]] = field(default_factory=list)
    _parts: list[bytes] = field(default_factory=list)
    _length: int = 0
    _producer: tuple[int, int, int] = (-1, -1, 0)
    _written: bytes | None = None

    def add(self, told: Sequence[Told]) -> int:
        """Add records in their order until the batch is full, at least one. Returns how many were added."""
        parts, length, first = self._parts, self._length, len(self.versions)
        before, behind = self.headers.before, self.headers.behind
        for number, (key, value, own, version) in enumerate(told, first):
            sizes = _VARINTS[len(key)], _VARINTS[len(value)], _VARINTS[len(own)]
            record = b"".join((_START, _VARINTS[number], sizes[0], key, sizes[1], value, before, sizes[2], own, behind))
            length += len(record) + _OWN_LENGTH
            if number and length > _LARGEST:
                return number - first
            parts += (_VARINTS[len(record)], record)
            self.versions.append((key, version))
            self._length = length
        return len(told)

    def record_count(self) -> int:
        """How many records it holds."""
        return len(self.versions)

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
            count, time = self.record_count(), self.time_ms
            start = _AFTER_CRC.pack(0, count - 1, time, time, *self._producer, count)
            counted = b"".join((start, *self._parts))
            checksum = calc_crc32c(counted)
            length = _AFTER_LENGTH + len(counted)
            self._written = _BEFORE_CRC.pack(0, length, _NO_LEADER_EPOCH, _MAGIC, checksum) + counted
        return self._written


def written(told: Sequence[Told], time_ms: int, headers: SharedHeaders) -> list[WrittenBatch]:
    """Records of one partition as batches, in their order."""
    batches, first = [], 0
    while first < len(told):
        batch = WrittenBatch(time_ms, headers)
        first += batch.add(told[first:])
        batches.append(batch)
    return batches
