"""Deliveries to as many persons, on the topic as upstream writes them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import orjson

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.kafka import make_producer
from services.chassis.record_batches import Record, send_all
from services.chassis.settings import Settings
from tests.builders import delivery

_AT_ONCE = 5_000
_ADDRESS = {
    "http": {"kind": "sms", "address": "+46701740605"},
    "smtp": {"kind": "email", "address": "r@mottagare.example"},
}


def make_deliveries(kind: str, name: str, persons: Sequence[int], at: datetime | None = None) -> list[Record]:
    """Records of a delivery to each of these persons; `kind` is that of the gateway that shall get the requests.

    Nobody may be asked often, so each round needs persons of its own.
    """
    template = delivery((_ADDRESS[kind],), delivery_id="D-0", occurred_at=at or datetime.now(UTC))
    return list(_records(orjson.loads(template.model_dump_json(exclude_none=True)), kind, name, persons))


def _records(plain: dict[str, dict[str, object]], kind: str, name: str, persons: Sequence[int]) -> Iterator[Record]:
    for n in persons:
        plain["delivery"]["delivery_id"] = f"{name}{n}"
        address = f"+46701740{n:07d}" if kind == "http" else f"{name}{n}@mottagare.example"
        plain["pii"]["channels"] = [{"kind": _ADDRESS[kind]["kind"], "address": address}]
        yield Record(DELIVERY_COMPLETED, f"{name}{n}".encode(), orjson.dumps(plain), [])


async def fill(settings: Settings, records: list[Record]) -> None:
    """Put them on the topic.

    Raises:
        KafkaError: one was refused.
    """
    producer = make_producer(settings, client="bench")
    await producer.start()
    try:
        for begin in range(0, len(records), _AT_ONCE):
            for refusal in await send_all(producer, records[begin : begin + _AT_ONCE]):
                if refusal is not None:
                    raise refusal
    finally:
        await producer.stop()
