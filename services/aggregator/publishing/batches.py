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

    def add(self, key: bytes, value: bytes, own: bytes, version: int) -> bool:
        """Add a record with its own value of the header. Returns False where the batch is full and it was not added."""
        parts = (
            _START,
            _VARINTS[len(self._parts)],
            _VARINTS[len(key)],
            key,
            _VARINTS[len(value)],
            value,
            self.headers.before,
            _VARINTS[len(own)],
            own,
            self.headers.behind,
        )
        record = b"".join(parts)
        record = _VARINTS[len(record)] + record
        if self._parts and self._length + len(record) > _LARGEST:
            return False
        self._parts.append(record)
        self._length += len(record)
        self.versions.append((key, version))
        return True

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
