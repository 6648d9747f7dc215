"""Disruptions beside the live line: the last revision counts, and one that ended leaves after a while."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.disruption import DeliveryDisruption
from services.aggregator.live.disruptions import Disruptions
from services.chassis.postgres import Pool
from services.chassis.records import Received
from tests.builders import NOON

pytestmark = pytest.mark.service("aggregator")


def disruption(revision: int = 1, **changed: Any) -> Received[DeliveryDisruption]:
    plain: dict[str, Any] = {
        "disruption_id": "rain-1",
        "revision": revision,
        "state": "active",
        "kind": "weather",
        "areas": [{"country": "SE"}, {"country": "NO"}],
        "starts_at": NOON,
        "published_at": NOON,
    }
    return Received(DeliveryDisruption.model_validate(plain | changed), None, NOON)


async def shown(pool: Pool, minutes: float, *told: Received[DeliveryDisruption]) -> list[dict[str, Any]]:
    async with pool.acquire() as connection:
        if told:
            await Disruptions().keep(connection, told)
        return await Disruptions().going_on(connection, NOON + timedelta(minutes=minutes))


async def test_a_disruption_shows_from_its_start_until_a_while_after_its_end(pool: Pool) -> None:
    assert await shown(pool, -1, disruption()) == []
    expected = {"kind": "weather", "countries": ["NO", "SE"], "from": NOON.timestamp(), "until": None}
    assert await shown(pool, 10) == [expected]
    over = disruption(2, state="over", ends_at=NOON + timedelta(minutes=12))
    end = (NOON + timedelta(minutes=12)).timestamp()
    assert await shown(pool, 16, over) == [expected | {"until": end}]
    assert await shown(pool, 18) == []


async def test_an_older_revision_changes_nothing_and_a_withdrawn_one_does_not_show(pool: Pool) -> None:
    assert await shown(pool, 1, disruption(3, state="withdrawn"), disruption(1)) == []
    assert await shown(pool, 1, disruption(2)) == []
