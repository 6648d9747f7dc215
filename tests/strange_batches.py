"""Batches of records that no well-behaved client would write: names of headers that are not UTF-8."""

import gzip
import struct

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from services.chassis.record_batches import Record

STAND_IN = "STANDIN"
"""A header's name that becomes `BYTES` in the batch, in names only."""
BYTES = b"\xff\xfe\xc3(ok\x80"
AS_READ = "???(ok?"
_HEADER = 61
_GZIP = 1


def strange_batch(records: list[Record], *, at: int = 0, compressed: bool = False) -> bytes:
    """A batch as Kafka keeps it at an offset, with a right checksum."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for offset, record in enumerate(records):
        builder.append(offset, None, record.key, record.value, list(record.headers))
    # The length before a name tells names from anything else: a varint of 7 is 14.
    batch = builder.build().replace(b"\x0e" + STAND_IN.encode(), b"\x0e" + BYTES)
    if compressed:
        batch[_HEADER:] = gzip.compress(batch[_HEADER:])
        struct.pack_into(">i", batch, 8, len(batch) - 12)
        struct.pack_into(">h", batch, 21, _GZIP)
    struct.pack_into(">q", batch, 0, at)
    struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
    return bytes(batch)


async def send_strange(producer: AIOKafkaProducer, records: list[Record]) -> None:
    """Send such a batch to the first partition of the records' topic, past all that aiokafka checks."""
    builder: BatchBuilder = producer.create_batch()
    for record in records:
        builder.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
    builder._build()
    builder._buffer = bytearray(strange_batch(records))
    await (await producer.send_batch(builder, records[0].topic, partition=0))
