"""W3C trace context: carried from the delivery's record through outbox rows to the answer's."""

import re
import secrets

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def new_traceparent() -> str:
    """A fresh, sampled trace context (W3C Trace Context, version 00)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def child_of(traceparent: str | None) -> str:
    """The context for work caused by `traceparent`: same trace, new span. A broken one starts a new trace."""
    if traceparent is None or not _FORM.fullmatch(traceparent):
        return new_traceparent()
    return f"{traceparent[:36]}{secrets.token_hex(8)}{traceparent[52:]}"
