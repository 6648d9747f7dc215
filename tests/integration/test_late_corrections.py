"""Facts that upstream corrects at the wrong moment are told, and in the message, before a request leaves."""

import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.delivery import DeliveryCorrected, DeliveryException, DeliveryFacts
from schemas.invitation import InvitationDecided
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.notifier.channels import Message
from services.notifier.state import KeepState
from tests.builders import arrived, delivery
from tests.sending import (
    ACCEPTED,
    REFUSED_FOR_NOW,
    REMINDING,
    ScriptedChannel,
    deciding,
    dispatcher,
    ledger,
    now,
    plan,
    relay_everything,
    state_of,
    work,
)

pytestmark = pytest.mark.service("notifier")


async def correct(pool: Pool, revision: int = 1, **changed: Any) -> None:
    """Upstream says that the facts of D-0 should have been otherwise."""
    told = await pool.fetchval("SELECT message -> 'delivery' FROM invitation WHERE delivery_id = 'D-0'")
    facts = delivery(delivery_id="D-0", occurred_at=now()).delivery
    if told is not None:
        facts = DeliveryFacts.model_validate_json(told)
    message = DeliveryCorrected.model_validate(
        {
            "delivery_id": "D-0",
            "revision": revision,
            "what": "facts_corrected",
            "corrected_at": now(),
            "delivery": facts.model_copy(update={"disruption": None, **changed}),
        }
    )
    async with pool.acquire() as connection, connection.transaction():
        await KeepState(now)(connection, [Received(message, None, now())])


async def told(pool: Pool) -> list[tuple[int, str, str | None, str | None]]:
    """Revision, outcome, shop and disruption, as known then, of all that was told about the request."""
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'invitation.decided.v1' ORDER BY id")
    messages = [InvitationDecided.model_validate_json(r["value"]) for r in rows]
    return [(m.revision, m.outcome.value, m.known.merchant_name, m.known.disruption) for m in messages]


async def test_facts_corrected_while_a_delivery_is_decided_are_told_and_in_kafka_before_the_message_leaves(
    pool: Pool, settings: Settings
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await deciding()(connection, [arrived(delivery(delivery_id="D-0", occurred_at=now()), now())])
        await correct(pool, merchant_name="Havsbris", order_id="order-9", drop_id="drop-9")

    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    assert await work(sender) == 0
    assert await told(pool) == [(1, "scheduled", "Fjällbod", None), (2, "scheduled", "Havsbris", None)]
    assert await sender._begin_some() == 0  # Kafka does not have it yet
    await relay_everything(pool)
    assert await work(sender) == 1
    assert ["Havsbris" in m.text and "Fjällbod" not in m.text for m in channel.calls] == [True]
    assert (await told(pool))[2:] == [(3, "asked", "Havsbris", None)]
    kept = await pool.fetchrow("SELECT order_id, drop_id FROM invitation")
    assert kept is not None
    assert tuple(kept) == ("order-9", "drop-9")
    assert (await ledger(pool))["asked"] == 1


async def test_what_was_decided_with_the_corrected_facts_is_told_once(pool: Pool, settings: Settings) -> None:
    await correct(pool, merchant_name="Havsbris")
    await plan(pool)
    channel = ScriptedChannel()
    assert await work(dispatcher(pool, settings, channel)) == 1
    assert ["Havsbris" in m.text for m in channel.calls] == [True]
    assert await told(pool) == [(1, "scheduled", "Havsbris", None), (2, "asked", "Havsbris", None)]


async def test_facts_corrected_during_a_call_that_is_refused_for_now_are_those_of_the_next_one(
    pool: Pool, settings: Settings
) -> None:
    async def corrected_meanwhile(_: Message) -> None:
        if len(channel.calls) == 1:
            await correct(pool, merchant_name="Havsbris")

    await plan(pool)
    channel = ScriptedChannel((REFUSED_FOR_NOW, ACCEPTED), before_answer=corrected_meanwhile)
    sender = dispatcher(pool, settings, channel)
    for _ in range(3):
        await work(sender)
    assert ["Havsbris" in m.text for m in channel.calls] == [False, True]
    assert await told(pool) == [
        (1, "scheduled", "Fjällbod", None),
        (2, "scheduled", "Havsbris", None),
        (3, "asked", "Havsbris", None),
    ]
    assert await state_of(pool) == ("accepted", None, 2)


async def test_a_reminder_says_what_was_corrected_after_its_request_and_tells_nothing(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=REMINDING)
    await work(sender)
    await correct(pool, merchant_name="Havsbris")
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    for _ in range(2):
        await work(sender)
    assert ["Havsbris" in m.text for m in channel.calls] == [False, True]
    assert await told(pool) == [(1, "scheduled", "Fjällbod", None), (2, "asked", "Fjällbod", None)]


async def test_a_request_that_its_corrected_moment_makes_too_old_does_not_leave(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    message = await pool.fetchval("SELECT message FROM invitation")
    await correct(pool, occurred_at=now() - timedelta(hours=73))
    await pool.execute("UPDATE invitation SET message = $1::json, occurred_at = now()", message)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    for _ in range(2):
        await work(sender)
    assert channel.calls == []
    assert await state_of(pool) == ("withheld", "too_old", 0)


@pytest.mark.parametrize("heard", ["before the claim", "in the claim"])
async def test_the_disruption_that_a_delivery_was_marked_with_stays_when_its_facts_are_corrected(
    pool: Pool, settings: Settings, heard: str
) -> None:
    await plan(pool)
    marked = """UPDATE invitation SET message = jsonb_set(message::jsonb, '{delivery,disruption}', '"storm-1"')"""
    await pool.execute(marked)
    if heard == "in the claim":
        await pool.execute("UPDATE invitation SET state = 'calling'")
    await correct(pool, merchant_name="Havsbris")
    await pool.execute("UPDATE invitation SET state = 'planned', due_at = now()")
    for _ in range(2):
        await work(dispatcher(pool, settings, ScriptedChannel()))
    assert (await told(pool))[1:] == [(2, "scheduled", "Havsbris", "storm-1"), (3, "asked", "Havsbris", "storm-1")]


async def test_requests_to_many_are_corrected_each_by_its_own_facts(pool: Pool, settings: Settings) -> None:
    await plan(pool, 3)
    await pool.execute("UPDATE invitation SET state = 'calling' WHERE delivery_id = 'D-0'")
    await correct(pool, merchant_name="Havsbris")
    await pool.execute("UPDATE invitation SET state = 'planned', due_at = now() WHERE delivery_id = 'D-0'")
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    assert await work(sender) == 2
    assert await work(sender) == 1
    assert ["Havsbris" in m.text for m in channel.calls] == [False, False, True]


@pytest.mark.parametrize(
    ("known", "corrected", "state"),
    [
        (["damaged"], ["damaged"], "accepted"),
        (["damaged", "claim_open"], ["damaged"], "accepted"),
        (["damaged"], ["damaged", "claim_open"], "withheld"),
        ([], ["damaged"], "withheld"),
    ],
    ids=["as known", "one less", "one more", "new"],
)
async def test_only_an_exception_that_the_request_does_not_know_of_withholds_it(
    pool: Pool, settings: Settings, known: list[str], corrected: list[str], state: str
) -> None:
    """Corrected while it was in somebody's hands: the claim finds it."""

    async def meanwhile(_: Message) -> None:
        if len(channel.calls) == 1:
            await correct(pool, merchant_name="Havsbris", exceptions=tuple(map(DeliveryException, corrected)))

    await plan(pool)
    told_of = "jsonb_set(message::jsonb, '{delivery,exceptions}', $1::text::jsonb)"
    await pool.execute(f"UPDATE invitation SET message = {told_of}", json.dumps(known))
    channel = ScriptedChannel((REFUSED_FOR_NOW, ACCEPTED), before_answer=meanwhile)
    sender = dispatcher(pool, settings, channel)
    for _ in range(3):
        await work(sender)
        await pool.execute("UPDATE invitation SET due_at = clock_timestamp() WHERE state = 'planned'")
    assert (await state_of(pool))[0] == state
    assert len(channel.calls) == (2 if state == "accepted" else 1)
