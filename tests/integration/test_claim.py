"""All that may have changed since the decision is read again under the row's lock, just before a request leaves."""

import asyncio
from datetime import datetime, timedelta

import pytest

from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.ledger import read_ledger
from services.notifier.send_guard import persons_allowed
from tests.conftest import SEALING_KEY
from tests.sending import (
    CAPPED,
    ScriptedChannel,
    dispatcher,
    ledger,
    plan,
    state_of,
    told,
    work,
)

pytestmark = pytest.mark.service("notifier")


async def test_a_claim_is_tried_before_the_first_without_taking_anything(pool: Pool, settings: Settings) -> None:
    await plan(pool, 3)
    sender = dispatcher(pool, settings, ScriptedChannel())
    async with pool.acquire() as connection:
        await sender._claiming.claims.warm_up(connection)

    assert await pool.fetchval("SELECT array_agg(DISTINCT state || attempts) FROM invitation") == ["planned0"]
    assert (await ledger(pool))["pending"] == 3
    assert await sender._begin_some() == 3


WRITTEN = "SELECT coalesce(sum(n_tup_upd), 0) FROM pg_stat_xact_user_tables WHERE relname ~ '^invitation'"
"""Rows of requests that a connection has written lately, also those that it took back."""


async def test_the_trial_goes_all_the_way_of_a_claim_also_while_sending_is_off_and_nothing_is_due(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    await pool.execute("UPDATE switch SET is_on = false")
    await pool.execute("UPDATE invitation SET due_at = now() + interval '1 day'")
    sender = dispatcher(pool, settings, ScriptedChannel())
    async with pool.acquire() as connection, connection.transaction():
        before = await connection.fetchval(WRITTEN)
        await sender._claiming.claims.warm_up(connection)
        assert await connection.fetchval(WRITTEN) == before + 1
    assert await state_of(pool) == ("planned", None, 0)


CORRECTED = """INSERT INTO correction
    SELECT delivery_id, 'facts_corrected', 1, ((message -> 'delivery')::jsonb || '%s')::json FROM invitation"""
DAMAGED = CORRECTED % '{"exceptions": ["damaged"]}'
KNOWN_DAMAGED = (
    """WITH known AS (UPDATE invitation SET message = jsonb_set(message::jsonb, '{delivery,exceptions}', '["damaged"]'))
    """
    + DAMAGED
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("INSERT INTO preference SELECT person, true, NULL, NULL, now() FROM invitation", "opted_out"),
        ("UPDATE person_key SET erased_at = now()", "erased"),
        ("INSERT INTO correction VALUES ('D-0', 'returned', 1)", "returned"),
        ("INSERT INTO correction VALUES ('D-0', 'cancelled', 1)", "cancelled"),
        ("INSERT INTO correction VALUES ('D-0', 'not_delivered', 1)", "not_delivered"),
        ("INSERT INTO correction VALUES ('D-0', 'claim_opened', 1)", "claim_opened"),
        ("INSERT INTO correction VALUES ('D-0', 'claim_closed', 1), ('D-0', 'claim_opened', 2)", "claim_opened"),
        (DAMAGED, "exception_open"),
        (f"{DAMAGED}; INSERT INTO correction VALUES ('D-0', 'returned', 2)", "returned"),
        ("INSERT INTO answered VALUES ('D-0', true)", "contested"),
        ("INSERT INTO preference SELECT person, false, NULL, 'sms', now() FROM invitation", "channel_not_wanted"),
        ("UPDATE invitation SET occurred_at = now() - interval '73 hours'", "too_old"),
    ],
)
async def test_what_became_known_before_the_claim_withholds_the_request_and_is_told(
    pool: Pool, settings: Settings, change: str, reason: str
) -> None:
    await plan(pool)
    await pool.execute(change)
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert channel.calls == []
    assert await state_of(pool) == ("withheld", reason, 0)
    assert await told(pool) == [(1, "scheduled", None), (2, "suppressed", reason)]
    assert (await ledger(pool))["suppressed"] == 1


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO correction VALUES ('D-0', 'claim_opened', 1), ('D-0', 'claim_closed', 2)",
        CORRECTED % "{}",
        KNOWN_DAMAGED,
        "INSERT INTO answered VALUES ('D-0', false)",
        "INSERT INTO preference SELECT person, false, 4, 'email', now() FROM invitation",
        "UPDATE person_key SET erased_at = now() - interval '1 day'",
    ],
)
async def test_what_does_not_forbid_lets_the_request_leave(pool: Pool, settings: Settings, change: str) -> None:
    await plan(pool)
    await pool.execute(change)
    await work(dispatcher(pool, settings, ScriptedChannel()))
    assert (await state_of(pool))[0] == "accepted"


async def test_on_staging_only_the_listed_are_reached_and_the_rest_is_told_with_a_reason_of_its_own(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 2)
    channel = ScriptedChannel()
    seal = Seal(bytes.fromhex(SEALING_KEY))
    await work(dispatcher(pool, settings, channel, only_to=persons_allowed("bo@mottagare.example", seal)))
    assert channel.calls == []
    assert await told(pool) == [(1, "scheduled", None), (2, "suppressed", "not_on_allow_list")]
    async with pool.acquire() as connection:
        assert (await read_ledger(connection)).reasons == {"not_on_allow_list": 2}

    await plan(pool, 3)
    listed = persons_allowed("astrid.canary@mottagare.example", seal)
    await work(dispatcher(pool, settings, channel, only_to=listed))
    assert [m.address for m in channel.calls] == ["astrid.canary@mottagare.example"]


async def test_a_request_in_quiet_hours_is_due_again_when_they_end_and_is_not_dropped(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    seen: list[tuple[str, str]] = []

    def later(zone: str, country: str, moment: datetime) -> datetime:
        seen.append((zone, country))
        return moment + timedelta(hours=8)

    sender.departs = later
    sender.__post_init__()
    await work(sender)
    assert seen == [("Europe/Stockholm", "SE")]
    assert await state_of(pool) == ("planned", None, 0)
    assert await pool.fetchval("SELECT due_at > now() + interval '479 minutes' FROM invitation")
    assert channel.calls == []
    assert await told(pool) == [(1, "scheduled", None)]


async def test_a_correction_that_commits_while_a_claim_waits_for_the_cap_is_seen_by_it(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    async with pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT pg_advisory_xact_lock(hashtext('kvittera send caps'))")
        claiming = asyncio.create_task(work(dispatcher(pool, settings, channel, CAPPED)))
        while not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0)
        await pool.execute("INSERT INTO correction VALUES ('D-0', 'returned', 1)")
        await transaction.commit()
    await claiming
    assert channel.calls == []
