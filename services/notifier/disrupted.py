"""Disruptions as they stand now, and what they mean for requests that are about to leave."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import asyncpg

from schemas.delivery import DeliveryFacts
from schemas.disruption import DeliveryDisruption
from services.chassis.postgres import Database
from services.notifier.policy import Disrupted, Policies, before_leaving


async def open_disruptions(connection: Database, sql: Mapping[str, str]) -> tuple[DeliveryDisruption, ...]:
    """All that may touch a delivery which is young enough to be asked about."""
    rows = await connection.fetch(sql["open_disruptions"])
    return tuple(_read(r["message"]) for r in rows)


async def disrupted(
    connection: Database,
    sql: Mapping[str, str],
    due: Sequence[asyncpg.Record],
    policies: Policies,
    max_age: Callable[[str], timedelta],
) -> dict[UUID, Disrupted]:
    """What disruptions mean for the due requests whose deliveries they touch, by their corrected facts.

    `max_age` of a kind of request is how old a delivery may be when it leaves. While there are no disruptions, no
    request is read.
    """
    disruptions = await open_disruptions(connection, sql)
    if not disruptions:
        return {}
    moments: dict[UUID, datetime] = {r["invitation_id"]: r["now"] for r in due}
    found = {}
    for row in await connection.fetch(sql["facts_of"], list(moments)):
        facts, one = DeliveryFacts.model_validate_json(row["facts"]), row["invitation_id"]
        says = before_leaving(
            disruptions, facts, row["language"], policies.disruptions, max_age(row["kind"]), moments[one]
        )
        if says is not None:
            found[one] = says
    return found


# One without an end is open until upstream says that it is over, so they may pile up; a round over more than are
# remembered would read each of them anew for every claim.
@lru_cache(maxsize=4096)
def _read(message: str) -> DeliveryDisruption:
    return DeliveryDisruption.model_validate_json(message)
