"""What a dead letter carries: the untouched record, and why and from where it was put aside."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import ConsumerRecord

MARK = "kvittera_dlq_"
"""Headers that begin so were added by us; replay takes them off again."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be processed, with the reason."""

    record: ConsumerRecord
    reason: str
    detail: str

    def headers(self, service: str, now: datetime) -> list[tuple[str, bytes]]:
        """The record's own headers, then ours."""
        r = self.record
        told = {
            "reason": self.reason,
            "detail": self.detail[:500],
            "topic": r.topic,
            "partition": str(r.partition),
            "offset": str(r.offset),
            "at": now.astimezone(UTC).isoformat(),
            "service": service,
        }
        return [*r.headers, *((MARK + name, text.encode()) for name, text in told.items())]


def pack_headers(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """Headers of any bytes as JSON text, for the outbox row."""
    return json.dumps([[n, None if v is None else base64.b64encode(v).decode()] for n, v in headers])


def unpack_headers(text: str) -> list[tuple[str, bytes | None]]:
    """What `pack_headers` made, as headers again."""
    return [(n, None if v is None else base64.b64decode(v)) for n, v in json.loads(text)]
