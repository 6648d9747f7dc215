"""Logs: one canonical line per piece of work, for people on a terminal, JSON otherwise. No personal data."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from importlib.metadata import version
from typing import Any

import structlog

from services.chassis.settings import Settings

_SECRET_KEY = re.compile(
    r"(^|_)(addresse?s?|e?mail|phone|comment|token|password|dsn|authorization|body|pii)$", re.IGNORECASE
)
# From the beginning of a word, or no further than so far: a log line of any length takes no longer than its length.
_MAIL = re.compile(r"(?<![^\s@<>\"'])[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")
_PHONE = re.compile(r"(?<!\w)(?:\+|00)[1-9][\d \-().]{6,}\d")
_LINK_TOKEN = re.compile(r"/r/[A-Za-z0-9_\-]{22}")
_CREDENTIALS = re.compile(r"(://[^:/@\s]{0,256}:)[^@\s]{1,256}(?=@)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_TRACES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # keeps tabs and line ends
_TRACES = {"exception", "stack"}
_PARCEL_NUMBER = re.compile(r"\d{18,64}")
"""Begins with 00 where it is an SSCC, as a phone number may, but is longer than any."""
_PASSWORD = re.compile(r"(password=)[^\s&]+", re.IGNORECASE)


def scrub(text: str) -> str:
    """The text without addresses, phone numbers, survey tokens and passwords in URLs."""
    text = _MAIL.sub("[mail]", text)
    text = _PHONE.sub("[phone]", text)
    text = _LINK_TOKEN.sub("/r/[token]", text)
    text = _PASSWORD.sub(_hide_behind, text)
    return _CREDENTIALS.sub(_hide_behind, text)


def _hide_behind(found: re.Match[str]) -> str:
    # Not as a template: the standard library imports to read one, and the last lines of a process come too late.
    return f"{found[1]}[secret]"


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: hide what must never be logged, by key and by form."""
    for key, value in event.items():
        if not key.startswith("_"):  # structlog's own bookkeeping
            event[key] = _clean(key, value)
    return event


def _clean(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key):
        return "[redacted]"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {scrub(str(k)): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", v) for v in value]
    if key == "delivery_id" and isinstance(value, str) and _PARCEL_NUMBER.fullmatch(value):
        return value
    text = scrub(value if isinstance(value, str) else repr(value))
    # Nothing from outside begins a line of its own or moves the cursor (row 15 of docs/security.md).
    return (_CONTROL_IN_TRACES if key in _TRACES else _CONTROL).sub(_visible, text)


def _visible(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()


def configure_logs(settings: Settings, service: str) -> None:
    """Set up structlog and send what libraries log the same way. Call once, from a composition root."""
    level = getattr(logging, settings.log_level.upper())
    people = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def tell_start(host: str, port: int) -> None:
    """Say that this process begins, which version it is, and where it will listen."""
    structlog.get_logger().info("starts", action="start", version=version("kvittera"), listens=f"{host}:{port}")
