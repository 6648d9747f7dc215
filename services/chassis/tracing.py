"""W3C trace context: carried from the delivery's record through outbox rows to the answer's.

A step's span id follows from the message's context and the name of who takes the step. So the context that a
handler writes into its outbox rows is that of a span, and the span itself is told only after the commit.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import Final

FORM: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
"""A trace context of version 00: trace id, span id, flags."""
_HEADER: Final = "traceparent"


def new_traceparent() -> str:
    """A fresh, sampled trace context (W3C Trace Context, version 00)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def step_of(traceparent: str | None, by: str, record: str) -> str:
    """The context of the step that `by` takes with a record: the record's trace, a span id of its own.

    The same arguments give the same context. `record` names the record for ever (topic, partition, offset); a
    record without a context, or with a broken one, begins a trace whose id follows from that name.
    """
    found = FORM.fullmatch(traceparent or "")
    trace_id, flags = (found[1], found[3]) if found else (_digest(record, 16), "01")
    return f"00-{trace_id}-{_digest(f'{traceparent}|{by}|{record}', 8)}-{flags}"


def trace_id_of(traceparent: str | None) -> str | None:
    """The id of the trace that a context belongs to; None for none and for a broken one."""
    found = FORM.fullmatch(traceparent or "")
    return None if found is None else found[1]


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def traceparent_in(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The trace context among a record's headers, whatever else stands there."""
    return next((value.decode("ascii", "replace") for name, value in headers if name == _HEADER and value), None)
