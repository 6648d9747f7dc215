"""The checksum of Kafka's batches by the processor's own instruction: 0.02 µs for 500 B, 0.3 by aiokafka's table.

Where there is no build of google-crc32c for the machine, its own stand-in would take 100 µs; then aiokafka's is used.
"""

import google_crc32c
from aiokafka.record.util import calc_crc32c

_IS_COMPILED = google_crc32c.implementation == "c"


def crc32c(*parts: bytes) -> int:
    """CRC-32C of the parts, one behind the other (RFC 3720, B.4)."""
    if not _IS_COMPILED:
        return int(calc_crc32c(b"".join(parts)))
    checksum = 0
    for part in parts:
        checksum = google_crc32c.extend(checksum, part)
    return checksum
