"""Record batches of Kafka's format 2, written from records in columns: one join for a whole batch.

The format: https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
from aiokafka.record.util import calc_crc32c
from numpy.typing import NDArray

_BEFORE_CRC = struct.Struct(">qiibI")
_AFTER_CRC = struct.Struct(">hiqqqhii")
_AFTER_LENGTH = 9  # leader epoch, magic and checksum
_MAGIC, _NO_LEADER_EPOCH = 2, -1
_LARGEST: Final = 128 * 1024  # what topics hold at most is twice that
_START: Final = b"\0\0"  # no attributes, the batch's own time
_OWN_LENGTH = 3  # what a record's length takes at most, up to 1 MiB, and its number in the batch
Parts = Sequence[Sequence[bytes]]
"""Columns of parts; those of one record are joined."""


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


def _varints(numbers: NDArray[np.int64]) -> list[bytes]:
    return [*map(_VARINTS.__getitem__, numbers.tolist())]


def _lengths(parts: Iterable[Sequence[bytes]]) -> NDArray[np.int64]:
    columns = [np.fromiter(map(len, column), np.int64, len(column)) for column in parts]
    lengths: NDArray[np.int64] = np.sum(columns, axis=0)
    return lengths


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


@dataclass(frozen=True, slots=True)
class Told:
    """Records in columns: keys, values and own values of the header in parts, and the version that each tells."""

    keys: Sequence[bytes]
    values: Parts
    own: Parts
    versions: Sequence[int]

    def some(self, which: slice) -> "Told":
        """Those records alone."""
        values, own = [part[which] for part in self.values], [part[which] for part in self.own]
        return Told(self.keys[which], values, own, self.versions[which])


@dataclass(slots=True)
class WrittenBatch:
    """A batch for one partition; what aiokafka's producer asks of a closed `BatchBuilder`."""

    time_ms: int
    told: Told
    body: bytes
    _producer: tuple[int, int, int] = (-1, -1, 0)
    _written: bytes | None = None

    @property
    def versions(self) -> Iterable[tuple[bytes, int]]:
        """The keys of its records with the versions that they tell."""
        return zip(self.told.keys, self.told.versions, strict=True)

    def record_count(self) -> int:
        """How many records it holds."""
        return len(self.told.keys)

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
            counted = _AFTER_CRC.pack(0, count - 1, time, time, *self._producer, count) + self.body
            checksum = calc_crc32c(counted)
            length = _AFTER_LENGTH + len(counted)
            self._written = _BEFORE_CRC.pack(0, length, _NO_LEADER_EPOCH, _MAGIC, checksum) + counted
        return self._written


def written(told: Told, time_ms: int, headers: SharedHeaders) -> list[WrittenBatch]:
    """Records of one partition as batches in their order, each as large as may be, and of one record at least."""
    lengths = [_lengths([told.keys]), _lengths(told.values), _lengths(told.own)]
    sizes = [_varints(of) for of in lengths]
    rest = np.sum(lengths, axis=0) + _lengths(sizes) + (len(headers.before) + len(headers.behind))
    ends = np.cumsum(rest + (len(_START) + 2 * _OWN_LENGTH))
    batches, first = [], 0
    while first < len(ends):
        before = ends[first - 1] if first else 0
        end = max(first + 1, int(np.searchsorted(ends, before + _LARGEST, "right")))
        which = slice(first, end)
        body = _body(told.some(which), [of[which] for of in sizes], rest[which], headers)
        batches.append(WrittenBatch(time_ms, told.some(which), body))
        first = end
    return batches


def _body(told: Told, sizes: Parts, rest: NDArray[np.int64], headers: SharedHeaders) -> bytes:
    """The records; `rest` is the length of each without that of its number."""
    numbers = [_START + number for number in _varints(np.arange(len(rest)))]
    columns = [
        _varints(rest + _lengths([numbers])),
        numbers,
        sizes[0],
        told.keys,
        sizes[1],
        *told.values,
        repeat(headers.before, len(rest)),
        sizes[2],
        *told.own,
        repeat(headers.behind, len(rest)),
    ]
    parts = [b""] * (len(rest) * len(columns))
    for place, column in enumerate(columns):
        parts[place :: len(columns)] = column
    return b"".join(parts)
