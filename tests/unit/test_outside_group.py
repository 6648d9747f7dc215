"""A consumer without a place in its group: Kafka's refusal ends it, Kafka's absence does not."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError

from services.chassis.consumer import Reader
from services.chassis.failures import MustStop
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings


async def test_a_consumer_that_is_outside_of_its_group_waits_for_a_kafka_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.chassis.consumer._LET_IN_WITHIN", 0.0)
    monkeypatch.setattr("services.chassis.consumer._IDENTITY_EVERY", 0.05)
    fence = Fence[bytes](
        pool=cast("Any", None),
        service="survey",
        group="kvittera-survey-erasures",
        decode=cast("Any", None),
        apply=cast("Any", None),
        dead_letter_topics={},
        metrics=Metrics(),
    )
    reader, away = Reader(Settings(stall_seconds=0.3), fence, ["person.erased.v1"]), [True]

    async def check() -> dict[str, Any]:
        if away:
            raise KafkaConnectionError
        return {}

    monkeypatch.setattr(reader._identities, "check", check)
    watch = asyncio.create_task(reader.watch(asyncio.Event()))
    await asyncio.sleep(2)
    assert not watch.done()
    away.clear()
    with pytest.raises(MustStop, match="kvittera-survey-erasures is not let into its group"):
        await asyncio.wait_for(watch, 10)
