"""W3C trace context: carried from the delivery's record through outbox rows to the counter."""

import re
import secrets
from contextvars import ContextVar

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def new_traceparent() -> str:
    """A fresh, sampled trace context (W3C Trace Context, version 00)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def child_of(traceparent: str | None) -> str:
    """The context for work caused by `traceparent`: same trace, new span. A broken one starts a new trace."""
    if traceparent is None or not _FORM.fullmatch(traceparent):
        return new_traceparent()
    return f"{traceparent[:36]}{secrets.token_hex(8)}{traceparent[52:]}"


def current_traceparent() -> str | None:
    """The context that the running task works under."""
    return _current.get()


def work_under(traceparent: str | None) -> None:
    """Let the running task, and what it starts, work under this context."""
    _current.set(traceparent)
