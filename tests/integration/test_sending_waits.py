"""While Kafka is away nothing is sent; when it is back, what was said meanwhile is heard first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from schemas.cloudevents import Event, to_headers
from schemas.contract import Contract
from schemas.recipient import PreferenceChanged, PreferenceSource
from schemas.topics import CARDS, PREFERENCE_CHANGED
from services.chassis.arrivals import Arrivals
from services.chassis.consumer import Reader
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from services.notifier import state
from services.notifier.hearing import PATIENCE, Hearing
from tests.builders import arrived, delivery
from tests.harness import make_topic, own_loop, producing, reading, until
from tests.sending import ScriptedChannel, deciding, dispatcher, ledger, now, relay_everything, state_of

pytestmark = pytest.mark.service("notifier")

STOPS, WAITS = "stops@mottagare.example", "waits@mottagare.example"
LONGER_THAN_ANYTHING_HEARD_IS_BELIEVED = 4.0


async def plan_both(pool: Pool) -> None:
    """One request to each of two people, due tomorrow; Kafka has what was told of them."""
    both = [
        delivery(({"kind": "email", "address": address},), delivery_id=address[:5], occurred_at=now())
        for address in (STOPS, WAITS)
    ]
    async with pool.acquire() as connection, connection.transaction():
        await deciding()(connection, [arrived(d, now()) for d in both])
    await pool.execute("UPDATE invitation SET due_at = now() + interval '1 day'")
    await relay_everything(pool)


async def say_stop(settings: Settings, person: bytes) -> None:
    """As the survey's relay publishes it."""
    wish = PreferenceChanged(
        person_id=person.hex(), revision=1, never=True, source=PreferenceSource.PAGE, changed_at=now()
    )
    value = wish.model_dump_json().encode()
    headers = list(to_headers(Event(id="stop-1", source="/survey", type=PREFERENCE_CHANGED, data=value)))
    async with producing(settings) as producer:
        await producer.send_and_wait(PREFERENCE_CHANGED, value, key=person.hex().encode(), headers=headers)


@dataclass
class Notifier:
    """The parts of a notifier that hear and send.

    Attributes:
        looks: no look at what was heard begins while this is not set.
    """

    hearing: Hearing
    channel: ScriptedChannel
    looks: asyncio.Event = field(default_factory=asyncio.Event)

    async def hears(self) -> bool:
        return self.hearing.is_current()

    async def waits(self) -> bool:
        return not self.hearing.is_current()


async def keep_slowly(connection: Database, heard: list[Received[Contract]]) -> None:
    """Applies what was heard, and is slower than sending."""
    await asyncio.sleep(2)
    await state.KeepState(now)(connection, heard)


@asynccontextmanager
async def running(settings: Settings, pool: Pool) -> AsyncIterator[Notifier]:
    fence: Fence[Received[Contract]] = Fence(
        pool=pool,
        service="notifier",
        group=state.GROUP,
        decode=state.reading_state(),
        apply=keep_slowly,
        dead_letter_topics={topic: str(CARDS[topic].dead_letter) for topic in state.MODELS},
        metrics=Metrics(),
    )
    reader = Reader(settings, fence, state.MODELS)
    all_applied = Arrivals(reader, PATIENCE).all_applied

    async def looked() -> bool:
        await notifier.looks.wait()
        return await all_applied()

    notifier = Notifier(Hearing(looked, Metrics()), ScriptedChannel())
    notifier.looks.set()
    sender = dispatcher(pool, settings, notifier.channel)
    sender.permitted = notifier.hearing.is_current
    async with reading(reader, own_loop(reader, settings)) as stop:
        work = [asyncio.create_task(run(stop)) for run in (notifier.hearing.run, sender.run)]
        yield notifier
        stop.set()
        await asyncio.gather(*work)


async def test_what_is_due_while_kafka_is_away_waits_until_it_is_back_and_who_said_stop_meanwhile_is_not_asked(
    settings: Settings, pool: Pool, own_kafka: EmbeddedKafka
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": own_kafka.bootstrap, "stall_seconds": 60})
    for topic in state.MODELS:
        await make_topic(settings, name=topic)
    await plan_both(pool)
    with capture_logs() as lines:
        async with running(settings, pool) as notifier:
            await until(notifier.hears, seconds=20)
            own_kafka.kill()
            await until(notifier.waits, seconds=20)
            await pool.execute("UPDATE invitation SET due_at = now()")
            await asyncio.sleep(LONGER_THAN_ANYTHING_HEARD_IS_BELIEVED)
            assert notifier.channel.calls == []
            assert [(await state_of(pool, d))[0] for d in ("stops", "waits")] == ["planned", "planned"]

            # The survey is quicker than we are to find that Kafka is back.
            notifier.looks.clear()
            own_kafka.launch()
            await asyncio.to_thread(own_kafka.wait_until_ready)
            await say_stop(settings, await pool.fetchval("SELECT person FROM invitation WHERE delivery_id = 'stops'"))
            notifier.looks.set()

            async def all_settled() -> bool:
                return (await ledger(pool))["pending"] == 0

            await until(all_settled, seconds=30)
    assert [m.address for m in notifier.channel.calls] == [WAITS]
    assert await state_of(pool, "stops") == ("withheld", "opted_out", 0)
    assert (await state_of(pool, "waits"))[0] == "accepted"
    assert [x["event"] for x in lines if x["event"].startswith("sending")][-2:] == ["sending waits", "sending goes on"]
