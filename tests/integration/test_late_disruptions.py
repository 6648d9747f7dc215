"""A disruption that becomes known after the decision counts when the request is about to leave."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.disruption import DeliveryDisruption
from schemas.invitation import InvitationDecided
from services.chassis.postgres import Pool, named_sql
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.notifier.disrupted import open_disruptions
from services.notifier.policy import Policies
from services.notifier.state import KeepState
from tests.builders import facts
from tests.sending import (
    REMINDING,
    ScriptedChannel,
    dispatcher,
    ledger,
    now,
    plan,
    state_of,
    work,
)

pytestmark = pytest.mark.service("notifier")


async def declare(pool: Pool, revision: int = 1, **changed: Any) -> None:
    """A storm in Sweden since an hour ago, as traffic management tells it."""
    plain: dict[str, Any] = {
        "disruption_id": "storm-1",
        "revision": revision,
        "state": "active",
        "kind": "weather",
        "policy": "tag",
        "areas": [{"country": "SE"}],
        "starts_at": now() - timedelta(hours=1),
        "published_at": now(),
    }
    storm = DeliveryDisruption.model_validate(plain | changed)
    async with pool.acquire() as connection, connection.transaction():
        await KeepState(now)(connection, [Received(storm, None, now())])


async def told(pool: Pool) -> list[tuple[int, str, str | None, str | None]]:
    """Revision, outcome, reason and disruption of all that was told."""
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'invitation.decided.v1' ORDER BY id")
    messages = [InvitationDecided.model_validate_json(r["value"]) for r in rows]
    return [(m.revision, m.outcome.value, m.reason, m.known.disruption) for m in messages]


async def test_a_pause_that_nobody_knows_the_end_of_withholds_what_was_planned_before_it(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    await declare(pool, policy="pause")
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert channel.calls == []
    assert await state_of(pool) == ("withheld", "disruption_paused", 0)
    assert await told(pool) == [
        (1, "scheduled", None, None),
        (2, "suppressed", "disruption_paused", "storm-1"),
    ]
    assert (await ledger(pool))["suppressed"] == 1


async def test_a_pause_with_a_known_end_is_waited_for_told_and_over_then(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await declare(pool, policy="pause", ends_at=now() + timedelta(hours=8))
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    for _ in range(3):
        await work(sender)
    assert channel.calls == []
    assert await state_of(pool) == ("planned", None, 0)
    assert await pool.fetchval("SELECT due_at - now() BETWEEN '479 minutes' AND '480 minutes' FROM invitation")
    assert await told(pool) == [(1, "scheduled", None, None), (2, "scheduled", None, "storm-1")]

    await declare(pool, 2, state="over")
    await pool.execute("UPDATE invitation SET due_at = now()")
    await work(sender)
    assert len(channel.calls) == 1
    assert (await told(pool))[2:] == [(3, "asked", None, "storm-1")]


async def test_what_a_disruption_only_marks_leaves_with_its_mark_and_with_the_words_of_one_that_rewords(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    await declare(pool)
    await declare(pool, disruption_id="storm-2", policy="reword", text={"sv": "Kraftigt regn"})
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    assert [await work(sender) for _ in range(2)] == [0, 1]
    assert ["Kraftigt regn." in m.text for m in channel.calls] == [True]
    assert (await told(pool))[1:] == [(2, "scheduled", None, "storm-2"), (3, "asked", None, "storm-2")]


async def test_a_pause_by_our_own_policy_counts_and_other_areas_do_not(pool: Pool, settings: Settings) -> None:
    strikes = Policies.model_validate({"disruptions": {"kind": {"strike": "pause"}}})
    await plan(pool)
    await declare(pool, kind="strike", areas=[{"country": "SE", "terminals": ["Umeå"]}])
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel, policies=strikes))
    assert len(channel.calls) == 1

    await pool.execute("UPDATE invitation SET state = 'planned', due_at = now()")
    await declare(pool, 2, kind="strike")
    await work(dispatcher(pool, settings, channel, policies=strikes))
    assert len(channel.calls) == 1
    assert (await state_of(pool))[:2] == ("withheld", "disruption_paused")


async def test_whether_a_disruption_touches_a_delivery_is_judged_by_its_corrected_facts(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    corrected = facts(delivery_id="D-0", occurred_at=now(), terminal="Umeå").model_dump_json(exclude_none=True)
    await pool.execute("INSERT INTO correction VALUES ('D-0', 'facts_corrected', 1, $1)", corrected)
    await declare(pool, policy="pause", areas=[{"country": "SE", "terminals": ["Årsta"]}])
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel)
    assert [await work(sender) for _ in range(2)] == [0, 1]


async def test_a_reminder_waits_for_the_end_of_a_pause_for_as_long_as_reminders_are_young(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, policies=REMINDING)
    await work(sender)
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    await declare(pool, policy="pause", ends_at=now() + timedelta(hours=100))
    for _ in range(2):
        await work(sender)
    hours = "round(extract(epoch FROM due_at - now()) / 3600)"
    reminder = f"SELECT state || ' ' || {hours} FROM invitation WHERE kind = 'reminder'"
    assert await pool.fetchval(reminder) == "planned 100"
    assert len(channel.calls) == 1


async def test_disruptions_without_an_end_that_piled_up_are_not_read_anew_for_every_claim(pool: Pool) -> None:
    for n in range(300):
        await declare(pool, disruption_id=f"storm-{n}")
    async with pool.acquire() as connection:
        first, second = [
            sorted(await open_disruptions(connection, named_sql("services.notifier", "history.sql")), key=by_id)
            for _ in range(2)
        ]
    assert len(first) == 300
    assert all(one is other for one, other in zip(first, second, strict=True))


def by_id(disruption: DeliveryDisruption) -> str:
    return disruption.disruption_id
