"""A person who is erased while words to them are on their way: none of the words are left here, whoever comes first."""

import asyncio
from dataclasses import dataclass, field

import pytest

from schemas.response import ResponseRecorded
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.survey.followup import FollowUp
from services.survey.outcomes.message import OutcomeMessage, OutcomeSender, Result
from tests.caseload import ANNA, NOW, parts_of
from tests.integration.test_outcomes import desk_of, history, sending, stands, write

pytestmark = pytest.mark.service("survey")
WAITING = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"


@dataclass
class Halted:
    """A way out that stands still before it is taken, until it is let go."""

    real: OutcomeSender
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: OutcomeMessage) -> Result:
        self.reached.set()
        await self.go.wait()
        return await self.real.send(message)


async def erase(connection: Database, pool: Pool, settings: Settings) -> None:
    """The survey hears that the person of the case was erased."""
    case = (await desk_of(pool, settings).cases.one(ANNA, 1)).case
    plain = {"response_id": case.response_id, "revision": 2, "score": 2, "answered_at": NOW, "recorded_at": NOW}
    erased = ResponseRecorded.model_validate({**plain, "erased": True, "delivery": case.delivery})
    await FollowUp([parts_of(pool, settings, Metrics()).reaction])(connection, [Received(erased, None, NOW)])


async def halted(pool: Pool, settings: Settings) -> tuple[Halted, "asyncio.Task[bool]"]:
    """A message of a case that stands between `calling` and the local outbox."""
    real = sending(pool, settings).sender
    assert real is not None
    way = Halted(real)
    begun = asyncio.create_task(sending(pool, settings, way).send_next())
    await way.reached.wait()
    return way, begun


async def left(pool: Pool) -> tuple[object, ...]:
    row = await pool.fetchrow("SELECT words_sealed, kept_sealed FROM outcome_message")
    return tuple(row or ())


@pytest.mark.parametrize("committed_first", [True, False])
async def test_words_whose_person_is_erased_on_their_way_to_the_local_outbox_are_not_kept_there(
    pool: Pool, settings: Settings, committed_first: bool
) -> None:
    desk = await write(pool, settings)
    way, begun = await halted(pool, settings)
    async with pool.acquire() as erasing:
        transaction = erasing.transaction()
        await transaction.start()
        await erase(erasing, pool, settings)
        if not committed_first:
            way.go.set()
            async with asyncio.timeout(90):
                while not await pool.fetchval(WAITING):
                    await asyncio.sleep(0.01)
        await transaction.commit()
    way.go.set()
    assert await begun
    assert await left(pool) == (None, None)
    assert await stands(desk) == ("withheld", "erased")
    assert (await desk.cases.one(ANNA, 1)).case.outcome_told is False
    assert (await history(pool))[-2:] == ["erased", "outcome_not_sent"]


async def test_words_that_the_local_outbox_keeps_before_the_erasure_go_with_it(pool: Pool, settings: Settings) -> None:
    await write(pool, settings)
    way, begun = await halted(pool, settings)
    way.go.set()
    assert await begun
    assert (await left(pool))[1] is not None
    async with pool.acquire() as erasing, erasing.transaction():
        await erase(erasing, pool, settings)
    assert await left(pool) == (None, None)


async def test_a_message_that_was_doubted_after_the_local_outbox_kept_it_is_known_to_have_reached_nobody(
    pool: Pool, settings: Settings
) -> None:
    desk = await write(pool, settings)
    real = sending(pool, settings).sender

    class DoubtedThen:
        async def send(self, message: OutcomeMessage) -> Result:
            assert real is not None
            result = await real.send(message)
            await sending(pool, settings, minutes=10).doubt_interrupted()
            return result

    assert await sending(pool, settings, DoubtedThen()).send_next()
    assert await stands(desk) == ("withheld", "local_outbox")
    assert (await history(pool))[-2:] == ["outcome_in_doubt", "outcome_not_sent"]


async def test_a_message_that_was_doubted_before_it_reached_the_local_outbox_stays_in_doubt(
    pool: Pool, settings: Settings
) -> None:
    desk = await write(pool, settings)
    way, begun = await halted(pool, settings)
    await sending(pool, settings, minutes=10).doubt_interrupted()
    way.go.set()
    assert await begun
    assert await stands(desk) == ("in_doubt", "interrupted")
    assert await left(pool) == (None, None)
