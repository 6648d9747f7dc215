"""Who does not answer is reminded once, unless an answer comes first."""

import json

import pytest

from schemas.disruption import DeliveryDisruption
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.notifier.policy import Policies
from services.notifier.state import KeepState
from tests.sending import (
    REMINDING,
    ScriptedChannel,
    dispatcher,
    ledger,
    now,
    plan,
    told,
    work,
)

pytestmark = pytest.mark.service("notifier")


@pytest.mark.parametrize("answer_first", [True, False])
async def test_an_answer_committed_just_before_the_claim_beats_the_reminder_and_one_just_after_does_not(
    pool: Pool, settings: Settings, answer_first: bool
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=REMINDING)
    await work(sender)
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    answering = await pool.acquire()
    transaction = answering.transaction()
    await transaction.start()
    await answering.execute("INSERT INTO answered VALUES ('D-0', false)")
    if answer_first:
        await transaction.commit()
    await work(sender)
    if not answer_first:
        await transaction.commit()
    await pool.release(answering)
    assert len(channel.calls) == (1 if answer_first else 2)
    reminder = await pool.fetchrow("SELECT state, reason FROM invitation WHERE kind = 'reminder'")
    assert reminder is not None
    assert tuple(reminder) == (("withheld", "answered") if answer_first else ("accepted", None))


async def test_who_does_not_answer_is_reminded_once_with_the_same_link(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=REMINDING)
    await work(sender)
    due = await pool.fetchval(
        "SELECT round(extract(epoch FROM due_at - now()) / 3600)::int FROM invitation WHERE kind = 'reminder'"
    )
    assert due == 72
    assert await pool.fetchval(
        "SELECT count(DISTINCT sealed) = 1 AND count(*) = 2 FROM invitation"
    )  # the request's own secret is gone
    for _ in range(3):
        await pool.execute("UPDATE invitation SET due_at = now() WHERE state = 'planned'")
        await work(sender)
    assert [(m.address, m.link) for m in channel.calls] == [(channel.calls[0].address, channel.calls[0].link)] * 2
    assert len({m.reference for m in channel.calls}) == 2
    assert await told(pool) == [(1, "scheduled", None), (2, "asked", None)]
    counted = await ledger(pool)
    assert (counted["delivered"], counted["asked"], counted["pending"]) == (1, 1, 0)


async def test_the_message_and_its_reminder_say_what_the_policies_ask_for_and_what_happened(
    pool: Pool, settings: Settings
) -> None:
    storm = DeliveryDisruption.model_validate(
        {
            "disruption_id": "storm-1",
            "revision": 1,
            "state": "active",
            "kind": "weather",
            "policy": "reword",
            "areas": [{"country": "SE"}],
            "starts_at": "2026-01-01T00:00:00Z",
            "text": {"sv": "Kraftigt regn"},
            "published_at": "2026-01-01T00:00:00Z",
        }
    )
    async with pool.acquire() as connection, connection.transaction():
        await KeepState(now)(connection, [Received(storm, None, now())])
    both = Policies.model_validate({"merchants": {"merchant": {"fjallbod": {"ask": "co_brand"}}}})
    await plan(pool, policies=both, touchpoint="locker")
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=REMINDING)
    await work(sender)
    await pool.execute("UPDATE invitation SET due_at = now() WHERE state = 'planned'")
    await work(sender)
    kept = await pool.fetchval("SELECT message FROM invitation WHERE kind = 'reminder'")
    assert list(json.loads(kept)) == ["delivery"]  # what is told stands with the request
    asked, reminder = (m.text.split("\n\n")[:3] for m in channel.calls)
    assert asked[:2] == ["Nordposten Demo och Fjällbod", "Hur gick det vid paketskåpet?"]
    assert asked[2].startswith("Paket från Fjällbod hämtat i skåp ")
    assert asked[2].endswith(". Kraftigt regn.")
    assert reminder[1] == "Påminnelse: Hur gick det vid paketskåpet?"
    assert reminder[2].endswith(". Kraftigt regn.")


async def test_nobody_is_reminded_who_answered_before_the_request_was_settled(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await pool.execute("INSERT INTO answered VALUES ('D-0', false)")
    await work(dispatcher(pool, settings, ScriptedChannel(), policies=REMINDING))
    assert await pool.fetchval("SELECT count(*) FROM invitation WHERE kind = 'reminder'") == 0
