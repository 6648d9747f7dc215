"""Who does not answer is reminded once, unless an answer comes first."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from schemas.disruption import DeliveryDisruption
from schemas.invitation import InvitationDecided
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.notifier.channels import Message, Result
from services.notifier.policy import Policies
from services.notifier.state import KeepState
from tests.builders import EMAIL, SMS
from tests.sending import (
    ACCEPTED,
    IN_DOUBT,
    REMINDING,
    ScriptedChannel,
    dispatcher,
    ledger,
    now,
    plan,
    told,
    work,
)

CALLED = "SELECT called_at FROM invitation WHERE kind = $1"

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
    due = "SELECT (due_at AT TIME ZONE 'Europe/Stockholm')::date - (now() AT TIME ZONE 'Europe/Stockholm')::date"
    assert await pool.fetchval(f"{due} FROM invitation WHERE kind = 'reminder'") == 3
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


@pytest.mark.parametrize(
    ("asked", "reminded"),
    [
        (
            "2026-03-27T09:00:00Z",
            "2026-03-30T08:00:00Z",
        ),  # 10:00 in Stockholm before and after the clock is put forward
        ("2026-10-23T08:00:00Z", "2026-10-26T09:00:00Z"),
    ],
)
async def test_a_reminder_is_due_at_the_time_of_the_day_of_its_request_also_when_clocks_change_in_between(
    pool: Pool, settings: Settings, asked: str, reminded: str
) -> None:
    async def then(_: Message) -> None:
        await pool.execute("UPDATE invitation SET called_at = $1::text::timestamptz", asked)

    await plan(pool)
    await work(dispatcher(pool, settings, ScriptedChannel(before_answer=then), policies=REMINDING))
    due = await pool.fetchval("SELECT due_at FROM invitation WHERE kind = 'reminder'")
    assert due == datetime.fromisoformat(reminded)


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


async def test_nobody_is_reminded_when_the_link_is_closed(pool: Pool, settings: Settings) -> None:
    await plan(pool)  # its link takes answers for 14 days
    policies = Policies.model_validate({"hours": {"reminder_days": 14}})
    await work(dispatcher(pool, settings, ScriptedChannel(), policies=policies))
    assert await pool.fetchval("SELECT array_agg((kind, state)::text) FROM invitation") == ["(ask,accepted)"]


@pytest.mark.parametrize(
    ("closes", "held_days", "left"),
    [("14 days", 1, "planned"), ("1 minute", 1, "withheld"), ("-1 minute", 0, "withheld")],
)
async def test_a_reminder_that_would_leave_after_its_link_has_closed_is_withheld(
    pool: Pool, settings: Settings, closes: str, held_days: int, left: str
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=REMINDING)
    await work(sender)
    await pool.execute(
        "UPDATE invitation SET message = message::jsonb || jsonb_build_object('expires_at', now() + $1::text::interval)"
        " WHERE kind = 'ask'",
        closes,
    )
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    sender._claiming.claims = replace(
        sender._claiming.claims, departs=lambda _z, _c, at: at + timedelta(days=held_days)
    )
    await work(sender)
    row = await pool.fetchrow("SELECT state, reason FROM invitation WHERE kind = 'reminder'")
    assert row is not None
    assert tuple(row) == (left, "link_closed" if left == "withheld" else None)
    assert len(channel.calls) == 1


async def sent_at(pool: Pool) -> list[tuple[int, str, datetime | None]]:
    """Revision, outcome and moment of the last message in all that was told."""
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'invitation.decided.v1' ORDER BY id")
    messages = [InvitationDecided.model_validate_json(r["value"]) for r in rows]
    return [(m.revision, m.outcome.value, m.sent_at) for m in messages]


async def called(pool: Pool, kind: str) -> datetime:
    moment: datetime = await pool.fetchval(CALLED, kind)
    return moment


@pytest.mark.parametrize("fate", [ACCEPTED, IN_DOUBT], ids=["accepted", "in doubt"])
async def test_a_reminder_by_text_message_is_told_with_the_moment_it_left_since_people_reply_to_it(
    pool: Pool, settings: Settings, fate: Result
) -> None:
    await plan(pool, channels=(SMS,))
    sender = dispatcher(pool, settings, ScriptedChannel([ACCEPTED, fate]), policies=REMINDING)
    await work(sender)
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    await work(sender)
    asked, reminded = await called(pool, "ask"), await called(pool, "reminder")
    assert await sent_at(pool) == [(1, "scheduled", None), (2, "asked", asked), (3, "asked", reminded)]
    counted = await ledger(pool)
    assert (counted["delivered"], counted["asked"]) == (1, 1)


async def test_a_reminder_by_text_message_whose_sender_died_is_told_as_well(pool: Pool, settings: Settings) -> None:
    await plan(pool, channels=(SMS,))
    sender = dispatcher(pool, settings, ScriptedChannel(), policies=REMINDING)
    await work(sender)
    await pool.execute(
        "UPDATE invitation SET state = 'calling', called_at = now(), lease_until = now() - interval '1 s'"
        " WHERE kind = 'reminder'"
    )
    await sender.sweep.once()
    assert (await sent_at(pool))[2:] == [(3, "asked", await called(pool, "reminder"))]


async def test_a_reminder_that_nobody_replies_to_by_text_message_tells_nothing(pool: Pool, settings: Settings) -> None:
    await plan(pool, channels=(EMAIL,))
    sender = dispatcher(pool, settings, ScriptedChannel(), policies=REMINDING)
    await work(sender)
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    await work(sender)
    assert [revision for revision, _, _ in await sent_at(pool)] == [1, 2]


async def test_a_doubt_that_is_settled_late_tells_when_its_message_left(pool: Pool, settings: Settings) -> None:
    await plan(pool, channels=(SMS,))
    channel = ScriptedChannel([IN_DOUBT])
    sender = dispatcher(pool, settings, channel)
    await work(sender)
    await pool.execute("UPDATE invitation SET called_at = called_at - interval '20 minutes'")
    channel.known = lambda _: ACCEPTED
    await sender.sweep.once()
    assert (await sent_at(pool))[2:] == [(3, "asked", await called(pool, "ask"))]
