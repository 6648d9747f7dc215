"""How often a person is asked: the carrier's budget, the shop's, and what the person wishes."""

import asyncio

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.claim import Permits
from services.notifier.policy import Policies
from tests.sending import (
    REMINDING,
    ScriptedChannel,
    dispatcher,
    ledger,
    plan,
    state_of,
    work,
)

pytestmark = pytest.mark.service("notifier")
BUDGET_OF_ONE = Policies.model_validate({"contact": {"carrier": {"most": 1, "days": 30}}})
BUDGET_OF_A_SHOP = Policies.model_validate({"contact": {"merchant": {"most": 1, "days": 30}}})


async def waiting(pool: Pool) -> bool:
    found: bool = await pool.fetchval("SELECT EXISTS (SELECT 1 FROM invitation WHERE state = 'planned')")
    return found


async def test_of_fifty_requests_to_one_person_with_a_budget_of_one_three_dispatchers_send_one(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 50)
    channels = [ScriptedChannel() for _ in range(3)]
    senders = [dispatcher(pool, settings, c, policies=BUDGET_OF_ONE) for c in channels]
    while await waiting(pool):
        await asyncio.gather(*(work(s) for s in senders))
    assert sum(len(c.calls) for c in channels) == 1
    reasons = await pool.fetch("SELECT reason, count(*) AS n FROM invitation GROUP BY reason")
    assert {r["reason"]: r["n"] for r in reasons} == {None: 1, "carrier_budget_spent": 49}


async def test_while_a_request_is_claimed_nobody_else_claims_another_to_the_same_person(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 2)
    claims = dispatcher(pool, settings, ScriptedChannel(), policies=BUDGET_OF_ONE)._claiming.claims
    one_mail = Permits(1, {"email": 1})
    async with pool.acquire() as first, pool.acquire() as second:
        async with first.transaction():
            assert [row["state"] for row in await claims.take(first, one_mail)] == ["calling"]
            async with second.transaction():
                assert await claims.take(second, one_mail) == []
        async with second.transaction():
            assert [row["reason"] for row in await claims.take(second, one_mail)] == ["carrier_budget_spent"]


async def test_a_person_who_wishes_for_two_a_year_gets_two(pool: Pool, settings: Settings) -> None:
    await plan(pool, 4)
    await pool.execute("INSERT INTO preference SELECT DISTINCT person, false, 2, NULL, now() FROM invitation")
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    while await waiting(pool):
        await work(sender)
    assert len(channel.calls) == 2
    assert (await ledger(pool))["suppressed"] == 2


async def test_a_budget_forgets_calls_that_are_older_than_its_days(pool: Pool, settings: Settings) -> None:
    await plan(pool, 2)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=BUDGET_OF_ONE)
    await pool.execute("UPDATE invitation SET due_at = due_at + interval '1 hour' WHERE delivery_id = 'D-1'")
    await work(sender)
    await pool.execute("UPDATE invitation SET called_at = called_at - interval '31 days', due_at = now()")
    await work(sender)
    assert len(channel.calls) == 2


@pytest.mark.parametrize("state", ["calling", "accepted", "in_doubt", "unknown"])
async def test_a_call_counts_against_the_budget_whatever_came_of_it(pool: Pool, settings: Settings, state: str) -> None:
    await plan(pool, 2)
    await pool.execute("UPDATE invitation SET state = $1, called_at = now() WHERE delivery_id = 'D-0'", state)
    await work(dispatcher(pool, settings, ScriptedChannel(), policies=BUDGET_OF_ONE))
    assert await state_of(pool, "D-1") == ("withheld", "carrier_budget_spent", 0)


async def test_a_shop_s_budget_counts_requests_about_its_own_parcels_only(pool: Pool, settings: Settings) -> None:
    await plan(pool, 3)
    await pool.execute(
        "UPDATE invitation SET message = jsonb_set(message::jsonb, '{delivery,merchant_id}', '\"another\"')"
        " WHERE delivery_id = 'D-2'"
    )
    sender = dispatcher(pool, settings, ScriptedChannel(), policies=BUDGET_OF_A_SHOP)
    while await waiting(pool):
        await work(sender)
    rows = await pool.fetch("SELECT reason, count(*) AS n FROM invitation WHERE delivery_id <> 'D-2' GROUP BY reason")
    assert {r["reason"]: r["n"] for r in rows} == {None: 1, "merchant_budget_spent": 1}
    assert await state_of(pool, "D-2") == ("accepted", None, 1)


async def test_a_reminder_counts_against_the_budget(pool: Pool, settings: Settings) -> None:
    policies = REMINDING.model_copy(update={"contact": BUDGET_OF_ONE.contact})
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=policies)
    await work(sender)
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    await work(sender)
    assert len(channel.calls) == 1
    assert await pool.fetchval("SELECT reason FROM invitation WHERE kind = 'reminder'") == "carrier_budget_spent"
