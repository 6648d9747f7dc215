"""Disruptions beside the live line: the last revision of each, read from `delivery.disruption.v1` behind a fence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.disruption import DeliveryDisruption, DisruptionState
from schemas.topics import DELIVERY_DISRUPTION
from services.chassis.consumer import Reader
from services.chassis.postgres import Database, named_sql
from services.chassis.records import Received, last_revisions
from services.chassis.subscriptions import Subscriptions

_GROUP: Final = "kvittera-aggregator-disruptions"
_SHOWN_FOR: Final = timedelta(minutes=5)
"""As long as the line reaches, and a little more."""


@dataclass(frozen=True, slots=True)
class Disruptions:
    """Disruptions as they stand."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "disruptions.sql"))

    async def keep(self, connection: Database, told: Sequence[Received[DeliveryDisruption]]) -> None:
        """Keep what a batch tells, inside the fence's transaction; an older revision changes nothing."""
        kept = last_revisions((received.message for received in told), lambda d: d.disruption_id)
        await connection.execute(
            self.sql["keep_disruptions"],
            [d.disruption_id for d in kept],
            [d.revision for d in kept],
            [d.kind.value for d in kept],
            [" ".join(sorted({area.country for area in d.areas})) for d in kept],
            [d.state is not DisruptionState.WITHDRAWN for d in kept],
            [d.starts_at for d in kept],
            [d.ends_at for d in kept],
        )

    async def going_on(self, connection: Database, now: datetime) -> list[dict[str, Any]]:
        """What the live page is told: those that go on, and those that ended a moment ago."""
        rows = await connection.fetch(self.sql["disruptions_since"], now - _SHOWN_FOR, now)
        return [
            {
                "kind": r["kind"],
                "countries": r["countries"],
                "from": r["starts_at"].timestamp(),
                "until": None if r["ends_at"] is None or r["ends_at"] > now else r["ends_at"].timestamp(),
            }
            for r in rows
        ]


def disruptions_reader(subscriptions: Subscriptions) -> Reader[Received[DeliveryDisruption]]:
    """The reader of the topic, apart from that of answers: neither waits for the other."""
    return subscriptions.reader(DELIVERY_DISRUPTION, _GROUP, DeliveryDisruption, Disruptions().keep)
