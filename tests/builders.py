"""Right messages to begin a test with; every argument changes one field."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord

from schemas.delivery import DeliveryCompleted, DeliveryFacts
from schemas.invitation import InvitationDecided
from services.chassis.records import Received

NOON = datetime(2026, 10, 13, 12, 0, tzinfo=UTC)
"""A Tuesday; 14:00 in Stockholm."""
EMAIL = {"kind": "email", "address": "astrid.canary@mottagare.example"}
SMS = {"kind": "sms", "address": "+46701740634"}


def facts(**changed: Any) -> DeliveryFacts:
    """A home delivery in Stockholm at noon."""
    plain: dict[str, Any] = {
        "delivery_id": "D-1",
        "carrier": "Nordposten Demo",
        "merchant_id": "fjallbod",
        "merchant_name": "Fjällbod",
        "terminal": "Årsta",
        "country": "SE",
        "method": "home_day",
        "occurred_at": NOON,
        "zone": "Europe/Stockholm",
    }
    return DeliveryFacts.model_validate(plain | changed)


def delivery(
    channels: tuple[dict[str, str], ...] = (EMAIL,), language: str | None = "sv", **changed: Any
) -> DeliveryCompleted:
    """A completed delivery to a person with an e-mail address."""
    return DeliveryCompleted.model_validate(
        {"delivery": facts(**changed), "pii": {"language": language, "channels": channels}}
    )


def arrived(message: DeliveryCompleted, at: datetime = NOON) -> Received[DeliveryCompleted]:
    """The delivery as the reader hands it over."""
    return Received(message, None, at)


def always(moment: datetime) -> Callable[[Any], Awaitable[datetime]]:
    """A database's clock that stands still."""

    async def told(_: Any) -> datetime:
        return moment

    return told


def decided(**changed: Any) -> InvitationDecided:
    """An invitation that is due."""
    delivered: dict[str, Any] = changed.pop("delivery", {})
    plain: dict[str, Any] = {
        "delivery": facts(**delivered),
        "revision": 1,
        "outcome": "scheduled",
        "survey": "delivery.v1",
        "language": "sv",
        "channel": "email",
        "brand": "Nordposten Demo",
        "decided_at": NOON,
    }
    return InvitationDecided.model_validate(plain | changed)


def record(topic: str, value: bytes | None, offset: int = 0, partition: int = 0) -> ConsumerRecord:
    """A plain Kafka record without headers."""
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=int(NOON.timestamp() * 1000),
        timestamp_type=1,
        key=None,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=len(value or b""),
        headers=(),
    )
