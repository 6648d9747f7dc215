"""Records with a header whose name is not UTF-8: aiokafka cannot read them, and its reader would end at them for ever.

A name is text by Kafka's protocol, but brokers do not look, and some clients send any bytes. Such a batch is read a
second time with a question mark for each byte of these names that is not ASCII; then its records are judged as any
others. aiokafka has no setting for it, so its reader of batches is wrapped.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

log = structlog.get_logger()
_LENGTH = struct.Struct(">i")
_LENGTH_AT = 8
_BEGIN = 12  # the offset and the length itself are not in the length
_ASCII = 0x80


def read_any_header_name() -> None:
    """From now on, every consumer of this process reads records whatever the names of their headers."""
    fetcher.MemoryRecords = _Records


class _Records:
    """The batches of one fetched partition, as aiokafka's own, each with its bytes."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = memoryview(fetched)
        self._records = MemoryRecords(fetched)
        self._at = 0
        self.has_next = self._records.has_next
        self.size_in_bytes = self._records.size_in_bytes

    def next_batch(self) -> "_Batch":
        begin = self._at
        self._at = begin + _BEGIN + _LENGTH.unpack_from(self._fetched, begin + _LENGTH_AT)[0]
        return _Batch(self._records.next_batch(), self._fetched[begin : self._at])


class _Batch:
    """A batch that can be read a second time."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                yield record
                read += 1
        except UnicodeDecodeError:
            log.warning("the name of a header is not UTF-8", action="read_again", offset=self.base_offset + read)
            yield from islice(_WithQuestionMarks(bytes(self._raw)), read, None)


class _WithQuestionMarks(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A batch whose headers all get names that can be read."""

    def _read_msg(self, *_: Any) -> Any:
        buffer = self._buffer
        for begin, end in _header_names(buffer, self._pos):
            name = buffer[begin:end]
            try:
                name.decode()
            except UnicodeDecodeError:
                buffer[begin:end] = bytes(byte if byte < _ASCII else ord("?") for byte in name)
        return super()._read_msg()


def _header_names(buffer: bytearray, at: int) -> Iterator[tuple[int, int]]:
    """Where the header names of the record at a place begin and end, by the format of record batches, version 2."""
    for _ in ("length", "attributes", "timestamp", "offset"):
        _, at = decode_varint(buffer, at)
    for _ in ("key", "value"):
        length, at = decode_varint(buffer, at)
        at += max(0, length)
    count, at = decode_varint(buffer, at)
    for _ in range(count):
        length, at = decode_varint(buffer, at)
        yield at, at + length
        at += length
        length, at = decode_varint(buffer, at)
        at += max(0, length)
