"""A consumer without a place in its group: Kafka's refusal ends it, Kafka's absence or inability does not."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError, KafkaConnectionError

from services.chassis.consumer import Reader
from services.chassis.coordinator import takes_members
from services.chassis.failures import MustStop
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader[bytes]:
    """Outside of its group, of a Kafka whose group takes members; it is ended after 0.6 seconds of that."""
    monkeypatch.setattr("services.chassis.place_in_group._LET_IN_WITHIN", 0.0)
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
    reader = Reader(Settings(stall_seconds=0.3), fence, ["person.erased.v1"])

    async def check() -> dict[str, Any]:
        return {}

    async def takes_members() -> bool:
        return True

    monkeypatch.setattr(reader._identities, "check", check)
    monkeypatch.setattr(reader.place.coordinator, "takes_members", takes_members)
    return reader


async def waits(watch: asyncio.Task[None]) -> None:
    await asyncio.sleep(2)
    assert not watch.done()


async def ends(watch: asyncio.Task[None]) -> None:
    with pytest.raises(MustStop, match="kvittera-survey-erasures is not let into its group"):
        await asyncio.wait_for(watch, 10)


async def test_a_consumer_that_is_outside_of_its_group_waits_for_a_kafka_that_is_away(
    reader: Reader[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [True]

    async def check() -> dict[str, Any]:
        if away:
            raise KafkaConnectionError
        return {}

    monkeypatch.setattr(reader._identities, "check", check)
    watch = asyncio.create_task(reader.watch(asyncio.Event()))
    await waits(watch)
    away.clear()
    await ends(watch)


async def test_a_consumer_that_is_outside_of_its_group_waits_while_no_coordinator_takes_members(
    reader: Reader[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [GroupCoordinatorNotAvailableError(), None]

    async def takes_members() -> bool:
        if answers:
            answers.reverse()
            if answers[0] is not None:
                raise answers[0]
        return not answers

    monkeypatch.setattr(reader.place.coordinator, "takes_members", takes_members)
    watch = asyncio.create_task(reader.watch(asyncio.Event()))
    await waits(watch)
    answers.clear()
    await ends(watch)


async def test_a_consumer_that_is_outside_of_its_group_waits_while_its_coordinator_is_found_and_fails(
    reader: Reader[bytes],
) -> None:
    loop = asyncio.get_running_loop()
    coordinator = SimpleNamespace(_coordinator_dead_fut=loop.create_future())
    consumer = SimpleNamespace(_coordinator=coordinator, assignment=set)
    reader.read_through(lambda: cast("Any", consumer))

    async def fail() -> None:  # each is found at once, and fails between two looks
        while True:
            await asyncio.sleep(0.1)
            coordinator._coordinator_dead_fut = loop.create_future()

    failing = asyncio.create_task(fail())
    watch = asyncio.create_task(reader.watch(asyncio.Event()))
    await waits(watch)
    failing.cancel()
    await ends(watch)


class Broker:
    """Leads a group, or is said to."""

    def __init__(self, error: int, state: str, *, forbidden: bool = False) -> None:
        self._group: tuple[Any, ...] = (error, "g", state, "consumer", "", [])
        self._forbidden = forbidden

    async def coordinator_lookup(self, _: object, group: str) -> int:
        if self._forbidden:
            raise GroupAuthorizationFailedError(group)
        return 1

    async def send(self, _: int, __: object) -> SimpleNamespace:
        return SimpleNamespace(groups=[self._group])


@pytest.mark.parametrize(
    ("broker", "takes"),
    [
        (Broker(0, "Stable"), True),
        (Broker(0, "Empty"), True),
        (Broker(30, ""), True),  # no right to look at it
        (Broker(0, "", forbidden=True), True),
        (Broker(14, ""), False),
        (Broker(15, ""), False),
        (Broker(16, ""), False),
        (Broker(0, "PreparingRebalance"), False),
        (Broker(0, "CompletingRebalance"), False),
    ],
)
async def test_a_group_takes_members_unless_its_coordinator_is_away_or_its_members_are_just_changing(
    broker: Broker, *, takes: bool
) -> None:
    assert await takes_members(cast("Any", broker), "g") is takes
