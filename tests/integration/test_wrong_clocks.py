"""A process whose clock is an hour wrong decides, claims and holds by the database's, and counts by none (H84)."""

import itertools
import sys
import time
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from services.aggregator.counting.cuts import load_cuts, read_cuts
from services.aggregator.counting.minute_cells import MinuteCells
from services.aggregator.counting.reading import TOPICS
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.handlers import CountBatch
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.policy.sections import HoursRule
from services.notifier.schedule import departure
from tests.counting import answer, audit, decision, table
from tests.drawn_records import begun_at, chunks, counting, drawn, listed
from tests.harness import begin
from tests.integration.test_killed_counters import from_the_start
from tests.oracle import Watch
from tests.sending import ScriptedChannel, dispatcher, plan, state_of, work
from tests.tables import empty_pool

pytestmark = pytest.mark.service("notifier")

HALF_AN_HOUR = timedelta(minutes=30)
SEED, ANSWERS = 940, 60


@pytest.fixture(params=[-1, 1], ids=["slow", "fast"], autouse=True)
def wrong_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """Turn the clock of all our modules; that of the tests stays."""
    shift = timedelta(hours=request.param)

    class Turned(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Turned":
            return cls.fromtimestamp((datetime.now(UTC) + shift).timestamp(), tz)

    for name, module in list(sys.modules.items()):
        if name.startswith("services.") and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Turned)
    return shift


async def test_a_delivery_is_decided_and_due_by_the_databases_clock(pool: Pool) -> None:
    await plan(pool)  # a clock that is slow would call it an event from the future
    assert await state_of(pool) == ("planned", None, 0)
    for column in ("(SELECT decided_at FROM decision)", "due_at"):
        off = await pool.fetchval(f"SELECT clock_timestamp() - {column} FROM invitation")
        assert timedelta(0) <= off < HALF_AN_HOUR


async def test_a_request_is_claimed_when_the_databases_clock_says_so(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel())
    await pool.execute("UPDATE invitation SET due_at = clock_timestamp() + interval '30 minutes'")
    assert await work(sender) == 0
    await pool.execute("UPDATE invitation SET due_at = clock_timestamp() - interval '30 minutes'")
    assert await work(sender) == 1


async def test_a_lease_ends_when_the_databases_clock_says_so(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel())
    async with pool.acquire() as connection:
        permits = await sender._claiming.claims.permits(connection, 1)
        assert len(await sender._claiming.claim(connection, permits, 0.0)) == 1
    for ends, state in (("+ interval '30 minutes'", "calling"), ("- interval '1 second'", "in_doubt")):
        await pool.execute(f"UPDATE invitation SET lease_until = clock_timestamp() {ends}")
        await sender.sweep.once()
        assert (await state_of(pool))[0] == state


@pytest.mark.parametrize("quiet_now", [True, False])
async def test_quiet_hours_are_those_of_the_databases_clock(
    pool: Pool, settings: Settings, wrong_by: timedelta, quiet_now: bool
) -> None:
    middle = datetime.now(UTC) + (timedelta(0) if quiet_now else wrong_by)
    begins, ends = (f"{moment:%H:%M}" for moment in (middle - HALF_AN_HOUR, middle + HALF_AN_HOUR))
    rule = HoursRule.model_validate({"quiet_from": begins, "quiet_until": ends})
    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel())
    sender.departs = lambda _, country, moment: departure(rule, "UTC", country, moment).at
    sender.__post_init__()
    await work(sender)
    assert (await state_of(pool))[0] == ("planned" if quiet_now else "accepted")


async def test_minutes_end_by_the_databases_clock(settings: Settings) -> None:
    async with empty_pool(settings, "aggregator") as counters:
        async with counters.acquire() as connection:
            await StoredCuts().agree(connection, read_cuts(None))
        await MinuteCells(counters, 0).drop()
        off = await counters.fetchval("SELECT clock_timestamp() - to_timestamp(minutes_from * 60) FROM counting")
        assert abs(off) < HALF_AN_HOUR


async def test_an_answer_counts_by_the_clock_of_its_delivery_alone(settings: Settings, wrong_by: timedelta) -> None:
    turned = time.time() + wrong_by.total_seconds()
    async with empty_pool(settings, "aggregator") as counters:
        batch = CountBatch(Units(counters, load_cuts(None)), Metrics(), lambda _, __: None, now=lambda: turned)
        async with counters.acquire() as connection:
            await StoredCuts().agree(connection, read_cuts(None))
        async with counters.acquire() as connection, connection.transaction():
            await batch(connection, [answer(1, 1, 5, terminal="Luleå"), decision(1, 1, "asked", terminal="Luleå")])
        found = await table(counters)
        assert await audit(counters) == []
    # Noon UTC of 13 October 2026 is 14:00 in Stockholm.
    starts = {window: start for cut, _, window, start in found if cut == "terminal"}
    assert starts == {
        "hour": "2026-10-13T14:00",
        "day": "2026-10-13",
        "week": "2026-10-12",
        "month": "2026-10",
        "all": None,
    }
    assert found["terminal", "Luleå", "day", "2026-10-13"] == {"s5": 1, "asked": 1, "delivered": 1, "opened": 1}


async def test_counters_are_never_wrong_while_clocks_are(settings: Settings, wrong_by: timedelta) -> None:
    clocks = itertools.cycle([wrong_by, timedelta(0), -wrong_by])  # as two processes, and one that is set right
    async with empty_pool(settings, "aggregator") as counters:
        async with counters.acquire() as connection:
            await StoredCuts().agree(connection, read_cuts(None))
        for topic in TOPICS:
            await begin(counters, topic)
        watch = Watch(settings, listed(SEED, ANSWERS))
        fence = counting(counters, now=lambda: time.time() + next(clocks).total_seconds())
        async with watch.looking(least=4):
            for number, batch in enumerate(chunks(SEED, ANSWERS, {})):
                await fence.take(batch)
                if number % 30 == 0:
                    await watch.sees()
            await watch.sees()
        assert sum((await begun_at(counters)).values()) == len(drawn(SEED, ANSWERS))
        turned = await table(counters)
        await from_the_start(counters)
        for batch in chunks(SEED, ANSWERS, {}):
            await counting(counters).take(batch)
        assert turned == await table(counters) != {}
