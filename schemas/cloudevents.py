"""CloudEvents 1.0 over Kafka: headers out, records in.

We write binary mode only: the value is the JSON data, the attributes are `ce_*` headers. We read binary mode,
structured mode (`application/cloudevents+json`) and plain JSON records without any `ce_*` header, because
upstream systems are not all ours.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.contract import Contract, field_names

Reason = Literal["bad_json", "bad_header", "bad_envelope", "no_data", "schema"]
Headers = Sequence[tuple[str, bytes | None]]
Message = TypeVar("Message", bound=Contract)

_REQUIRED = ("id", "source", "type", "specversion")
_CORE = frozenset({*_REQUIRED, "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"})
_EXTENSION_NAME = re.compile(r"[a-z0-9]{1,64}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_ERRORS_SHOWN = 5


class ContractError(ValueError):
    """A record that breaks the contract. It will never be right, so it belongs in the dead-letter topic.

    `reason` is one word for metrics and the `kvittera_dlq_reason` header. `detail` says where, and never
    holds a value from the record: records carry personal data and details end up in logs.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One CloudEvent, or a plain record seen as one.

    `id`, `source` and `type` are empty when the record carried no CloudEvents attributes. `data` is the
    JSON payload as bytes; None means a tombstone. `time` and `traceparent` are None when absent or
    unreadable. `extensions` holds all further attributes as text. `key` is the record's key; `to_headers`
    leaves it alone.
    """

    id: str
    source: str
    type: str
    time: datetime | None = None
    data: bytes | None
    subject: str | None = None
    traceparent: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    key: bytes | None = None


def to_headers(event: Event) -> list[tuple[str, bytes]]:
    """Return the Kafka headers that say in binary mode what `event` is; the record's value is `event.data`.

    Raises ValueError when an attribute is empty, holds a control character or has a name that CloudEvents
    forbids, or when `time` has no offset: that is a fault in our own code.
    """
    attributes = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    if event.time is not None:
        if event.time.utcoffset() is None:
            raise ValueError("the time of an event needs an offset")
        attributes["time"] = event.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if event.subject is not None:
        attributes["subject"] = event.subject
    for name, value in event.extensions.items():
        if name in _CORE or name == "traceparent" or not _EXTENSION_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name an extension")
        attributes[name] = value
    for name, value in attributes.items():
        if not value or _FORBIDDEN.search(value):
            raise ValueError(f"attribute {name} is empty or holds a control character")
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    if event.data is not None:
        headers.insert(0, ("content-type", b"application/json"))
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent.encode("ascii")))
    return headers


class Stamp:
    """`to_headers` for many events of one source and type: what they share is checked and encoded once.

    Raises ValueError when the source or the type cannot be told.
    """

    def __init__(self, *, source: str, type: str) -> None:  # noqa: A002  the name of the attribute
        # The place of the id is between specversion and source.
        self._content, self._version, _, *self._shared = to_headers(Event(id="-", source=source, type=type, data=b""))

    def __call__(
        self, event_id: str, time: datetime, traceparent: str | None, *, tombstone: bool
    ) -> list[tuple[str, bytes]]:
        """Headers of one event; the id is plain ASCII and the time has an offset."""
        moment = time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()
        headers = [self._version, ("ce_id", event_id.encode()), *self._shared, ("ce_time", moment)]
        if not tombstone:
            headers.insert(0, self._content)
        if traceparent is not None:
            headers.append(("traceparent", traceparent.encode("ascii")))
        return headers


def read_record(value: bytes | None, headers: Headers, key: bytes | None = None) -> Event:
    """Read one Kafka record in whatever mode it was written.

    Raises ContractError `bad_header` when a required `ce_*` header is missing or unreadable, `bad_json` or
    `bad_envelope` when a structured record cannot be opened. Headers that we do not need never raise. The
    data itself is not parsed here: see `decode`.
    """
    raw = {name.lower(): content for name, content in headers if content is not None}
    content_type = _text(raw.get("content-type", b"")).strip().lower()
    traceparent = _traceparent(raw)
    if content_type.startswith("application/cloudevents"):
        if not content_type.startswith("application/cloudevents+json"):
            raise ContractError("bad_envelope", "only the JSON format of structured mode is read")
        attributes, data = _open_envelope(value)
        return _event(attributes, data, "bad_envelope", traceparent, key)
    if any(name.startswith("ce_") for name in raw):
        _refuse_broken_headers(raw)
        attributes = {name[3:]: _text(content) for name, content in raw.items() if name.startswith("ce_")}
        return _event(attributes, value, "bad_header", traceparent, key)
    return Event(id="", source="", type="", data=value, traceparent=traceparent, key=key)


def decode(model: type[Message], event: Event) -> Message:
    """Validate the data of `event` against `model`.

    Raises ContractError: `no_data` for a tombstone (look at `event.data` first where tombstones mean
    something), `bad_json` for data that is no JSON, `schema` for JSON that breaks the model. The detail
    lists at most five places and kinds of error, never a value.
    """
    if event.data is None:
        raise ContractError("no_data", "a tombstone has nothing to decode")
    try:
        return model.model_validate_json(event.data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        raise ContractError("bad_json", "the value is no JSON text")
    known = field_names()
    shown = [f"{_place(found['loc'], known)} {found['type']}" for found in errors[:_ERRORS_SHOWN]]
    if len(errors) > _ERRORS_SHOWN:
        shown.append(f"and {len(errors) - _ERRORS_SHOWN} more")
    raise ContractError("schema", "; ".join(shown))


def _place(location: tuple[int | str, ...], known: frozenset[str]) -> str:
    """Spell out a location; a key that is no field of ours came from the record and is not repeated."""
    return ".".join(str(part) if isinstance(part, int) or part in known else "*" for part in location) or "."


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _traceparent(raw: Mapping[str, bytes]) -> str | None:
    found = _text(raw.get("traceparent", raw.get("ce_traceparent", b"")))
    return found if _TRACEPARENT.fullmatch(found) else None


def _refuse_broken_headers(raw: Mapping[str, bytes]) -> None:
    for name in _REQUIRED:
        try:
            raw[f"ce_{name}"].decode()
        except KeyError:
            raise ContractError("bad_header", f"ce_{name} is missing") from None
        except UnicodeDecodeError:
            raise ContractError("bad_header", f"ce_{name} is not UTF-8") from None


def _open_envelope(value: bytes | None) -> tuple[dict[str, str], bytes]:
    """Split a structured record into its attributes and its data; it is never a tombstone."""
    if value is None:
        raise ContractError("bad_envelope", "a structured record needs a value")
    try:
        envelope = from_json(value, allow_inf_nan=False)
    except ValueError:
        raise ContractError("bad_json", "the envelope is no JSON text") from None
    if not isinstance(envelope, dict):
        raise ContractError("bad_envelope", "the envelope is no JSON object")
    attributes = {
        name: content if isinstance(content, str) else to_json(content).decode()
        for name, content in envelope.items()
        if name not in {"data", "data_base64"} and isinstance(content, str | int)
    }
    return attributes, _envelope_data(envelope)


def _envelope_data(envelope: dict[str, Any]) -> bytes:
    if "data_base64" not in envelope:
        return to_json(envelope.get("data"))
    try:
        return base64.b64decode(envelope["data_base64"], validate=True)
    except (TypeError, ValueError):
        raise ContractError("bad_envelope", "data_base64 is no base64 text") from None


def _event(
    attributes: dict[str, str], data: bytes | None, reason: Reason, traceparent: str | None, key: bytes | None
) -> Event:
    for name in _REQUIRED:
        found = attributes.get(name, "")
        if not found or _FORBIDDEN.search(found):
            raise ContractError(reason, f"{name} is missing, empty or holds a control character")
    if attributes["specversion"] != "1.0":
        raise ContractError(reason, "only specversion 1.0 is read")
    clean = {name: found for name, found in attributes.items() if found and not _FORBIDDEN.search(found)}
    inner = clean.pop("traceparent", "")
    return Event(
        id=clean["id"],
        source=clean["source"],
        type=clean["type"],
        time=_time(clean.get("time", "")),
        data=data,
        subject=clean.get("subject"),
        traceparent=traceparent or (inner if _TRACEPARENT.fullmatch(inner) else None),
        extensions={n: v for n, v in clean.items() if n not in _CORE and _EXTENSION_NAME.fullmatch(n)},
        key=key,
    )


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.utcoffset() is not None else None
