"""Deliveries of the past, to try policies on: from a CSV file or from the topic, as far back as Kafka keeps it."""

import csv
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from schemas.delivery import DeliveryCompleted, DeliveryFacts
from schemas.topics import DELIVERY_COMPLETED
from services.chassis.failures import MustStop, Poison
from services.chassis.kafka import make_consumer, start_with_patience
from services.chassis.settings import Settings
from services.chassis.topic_identity import topic_partitions
from services.notifier.arriving import reading_deliveries
from services.notifier.simulating import Past

_OF_THE_PERSON = ("language", "email", "sms", "push", "app", "consent")
_WHOLE_NUMBERS = ("attempt",)
_YES_OR_NO = ("method_chosen_by_recipient", "late", "called_ahead", "rescheduled")


def read_csv(file: Path) -> Iterator[Past]:
    """Deliveries of a CSV file; each taken to have arrived when it happened.

    Columns are fields of `delivery.completed.v1` and `language`, `email`, `sms`, `push`, `app`, `consent`; several
    exceptions or consents are separated by spaces.

    Raises:
        MustStop: the file cannot be read, has an unknown column, or a line does not fit; the line is named.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text, strict=True)
            unknown = set(rows.fieldnames or ()) - set(DeliveryFacts.model_fields) - set(_OF_THE_PERSON)
            if unknown:
                raise MustStop(f"{file}: no delivery has the field {', '.join(sorted(unknown))}")
            for row in rows:
                yield _delivery(row, f"{file} line {rows.line_num}")
    except OSError as error:
        raise MustStop(f"cannot read {file}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise MustStop(f"{file} is not a CSV file in UTF-8: {error}") from None


def _delivery(row: Mapping[str | None, str | None], line: str) -> Past:
    given = {str(name): text for name, text in row.items() if text}
    person = {name: given.pop(name, "") for name in _OF_THE_PERSON}
    facts: dict[str, object] = {**given, "exceptions": given.get("exceptions", "").split()}
    facts |= {name: int(given[name]) for name in _WHOLE_NUMBERS if given.get(name, "").isdecimal()}
    facts |= {name: given[name] == "true" for name in _YES_OR_NO if given.get(name) in {"true", "false"}}
    channels = [{"kind": k, "address": person[k]} for k in ("sms", "email", "push", "app") if person[k]]
    consent = [{"basis": basis} for basis in person["consent"].split()]
    pii = {"language": person["language"] or None, "channels": channels, "consent": consent}
    try:
        delivery = DeliveryCompleted.model_validate({"delivery": facts, "pii": pii})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise MustStop(f"{line}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return delivery, delivery.delivery.occurred_at


async def read_topic(settings: Settings, since: datetime) -> AsyncIterator[list[Past]]:
    """The deliveries that Kafka took since then and still keeps, in batches; broken records are left out.

    Raises:
        MustStop: Kafka cannot be reached.
    """
    parts = await topic_partitions(settings, DELIVERY_COMPLETED)
    decode = reading_deliveries("kvittera-policy")
    consumer = make_consumer(settings, group=None, client="kvittera-policy")
    await start_with_patience(consumer.start, settings, "the reader of past deliveries", close=consumer.stop)
    try:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        begins = await consumer.offsets_for_times({p: int(since.timestamp() * 1000) for p in parts})
        for part, begin in begins.items():
            consumer.seek(part, ends[part] if begin is None else begin.offset)
        while any([await consumer.position(p) < ends[p] for p in parts]):
            batches = await consumer.getmany(timeout_ms=500)
            records = sorted((r for batch in batches.values() for r in batch), key=lambda r: r.timestamp)
            found = []
            for record in records:
                try:
                    received = decode(record)
                except Poison:
                    continue
                if received is not None:
                    found.append((received.message, received.appended_at))
            yield found
    finally:
        await consumer.stop()
