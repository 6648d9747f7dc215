"""Records with a header whose name is not UTF-8: aiokafka cannot read them, and its reader would end at them for ever.

A name is text by Kafka's protocol, but brokers do not look, and some clients send any bytes. Such a batch is read a
second time with a question mark for each byte of these names that is not ASCII; then its records are judged as any
others.
"""

from collections.abc import Iterator
from typing import Any

import structlog
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.util import decode_varint

log = structlog.get_logger()
_ASCII = 0x80


def with_any_header_name(batch: memoryview) -> list[Any]:
    """The records of a batch, with question marks in the names of their headers that are not UTF-8."""
    records = _WithQuestionMarks(bytes(batch))
    log.warning("the name of a header is not UTF-8", action="read_again", batch=records.base_offset)
    return [*records]


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
