"""Pausing, doubts and the proof of the ledger, as an operator uses them."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.chassis.postgres import Pool, connect
from services.chassis.settings import Settings
from services.cli import doubts, send
from services.notifier.channels import Fate, Result
from services.notifier.dispatch import Dispatcher
from services.notifier.doubts import Chosen, list_doubts, resolve_doubts
from services.notifier.reconcile import reconcile
from services.notifier.settlement import Settlement, Settling
from services.notifier.verdicts import Verdict
from tests.builders import delivery
from tests.harness import make_topic, produce
from tests.sending import ScriptedChannel, dispatcher, plan, state_of, told, work

pytestmark = pytest.mark.service("notifier")

FACTS = """
UPDATE invitation SET message = jsonb_set(jsonb_set(message::jsonb, '{delivery,merchant_id}', to_jsonb($2::text)),
                                          '{delivery,touchpoint}', to_jsonb($3::text))
WHERE delivery_id = $1
"""
STILL = """
SELECT concat_ws(' ', message -> 'delivery' ->> 'merchant_id', message -> 'delivery' ->> 'touchpoint') AS what
FROM invitation WHERE state = 'in_doubt' ORDER BY delivery_id
"""
CORRECTION = """
INSERT INTO correction (delivery_id, what, revision, facts)
SELECT delivery_id, 'facts_corrected', 1, jsonb_set((message -> 'delivery')::jsonb, '{merchant_name}', '"Havsbris"')
FROM invitation
"""
HOURS = """
effective_from = 1970-01-01T00:00:00Z
reminder_days = 5
[default]
quiet_from = "00:01"
quiet_until = "00:00"
"""
IN_DOUBT = Result(Fate.IN_DOUBT, "gateway_timeout")


async def test_a_pause_stops_every_dispatcher_at_its_next_claim_and_says_who_and_why(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 2)
    senders = [dispatcher(pool, settings, ScriptedChannel()) for _ in range(2)]
    paused = await send._send(settings, turn_to=False)
    assert paused[0].startswith("sending: paused since ")
    assert paused[0].endswith("UTC (operator)")
    assert paused[1] == "waiting: 2 due, 0 later (held requests and reminders), 0 just being sent, 0 in doubt"
    assert [await work(s) for s in senders] == [0, 0]
    await pool.execute("DELETE FROM switch")
    assert (await send._send(settings, None))[0] == "sending: off: the switch is missing; --resume makes it anew"
    assert (await send._send(settings, turn_to=True))[0].startswith("sending: on since ")
    assert await work(senders[0]) == 2


@pytest.mark.parametrize(
    ("verdict", "state", "outcome", "calls", "duplicates"),
    [
        (Verdict.ARRIVED, "accepted", "asked", 1, None),
        (Verdict.LOST, "refused", "failed", 1, None),
        (Verdict.AGAIN, "accepted", "asked", 2, 1),
    ],
)
async def test_a_doubt_is_settled_as_an_operator_says_and_a_possible_duplicate_is_counted(
    pool: Pool,
    settings: Settings,
    verdict: Verdict,
    state: str,
    outcome: str,
    calls: int,
    duplicates: float | None,
) -> None:
    await plan(pool)
    channel = ScriptedChannel([IN_DOUBT, Result(Fate.ACCEPTED)])
    sender = dispatcher(pool, settings, channel)
    await work(sender)
    async with pool.acquire() as connection:
        [doubt] = await list_doubts(connection, 10)
    assert (doubt["delivery_id"], doubt["reason"], doubt["merchant_id"]) == ("D-0", "gateway_timeout", "fjallbod")
    reference = UUID(channel.calls[0].reference)
    assert doubt["invitation_id"] == reference
    assert await resolve_doubts(pool, sender._settling, Chosen(reference), verdict) == 1
    assert await resolve_doubts(pool, sender._settling, Chosen(reference), verdict) == 0
    await work(sender)
    assert (await state_of(pool))[0] == state
    assert len(channel.calls) == calls
    assert (await told(pool))[-1][1] == outcome
    assert duplicates_counted(sender) == duplicates


def duplicates_counted(sender: Dispatcher) -> float | None:
    labels = {"channel": "email"}
    return sender.metrics.registry.get_sample_value("kvittera_possible_duplicates_total", labels)


async def test_a_doubt_that_is_corrected_before_it_is_sent_again_is_counted_as_a_possible_duplicate_and_once(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel([IN_DOUBT, Result(Fate.REFUSED_FOR_NOW, "busy"), Result(Fate.ACCEPTED)])
    sender = dispatcher(pool, settings, channel)
    await work(sender)
    await pool.execute(CORRECTION)
    await resolve_doubts(pool, sender._settling, Chosen(channel="email"), Verdict.AGAIN)
    assert await work(sender) == 0  # the correction is told first
    assert (await told(pool))[-1] == (4, "scheduled", None)
    assert duplicates_counted(sender) is None
    for _ in range(2):
        await work(sender)
        await pool.execute("UPDATE invitation SET due_at = clock_timestamp()")
    assert (await state_of(pool), len(channel.calls)) == (("accepted", None, 3), 3)
    assert duplicates_counted(sender) == 1


async def test_who_gets_a_message_that_an_operator_says_arrived_is_reminded_by_the_policies(
    pool: Pool, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "hours.v1.toml").write_text(HOURS)
    await plan(pool)
    await work(dispatcher(pool, settings, ScriptedChannel([IN_DOUBT])))
    own = settings.model_copy(update={"policies_folder": tmp_path})
    assert await doubts._resolve(own, (None, None, None, "email"), Verdict.ARRIVED) == 1
    days = await pool.fetchval(
        "SELECT round((extract(epoch FROM due_at - now()) / 86400)::numeric, 1) FROM invitation WHERE kind = 'reminder'"
    )
    assert 5 <= days <= 6.1
    midnight = await pool.fetchval(
        "SELECT to_char(due_at AT TIME ZONE 'Europe/Stockholm', 'HH24:MI') FROM invitation WHERE kind = 'reminder'"
    )
    assert midnight == "00:00"


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        (Chosen(merchant="fjallbod"), ["norrvik locker", "norrvik home"]),
        (Chosen(touchpoint="locker"), ["fjallbod home", "norrvik home"]),
        (Chosen(merchant="norrvik", touchpoint="locker"), ["fjallbod locker", "fjallbod home", "norrvik home"]),
        (Chosen(channel="sms"), ["fjallbod locker", "fjallbod home", "norrvik locker", "norrvik home"]),
    ],
    ids=["shop", "touchpoint", "both", "channel"],
)
async def test_the_doubts_of_a_campaign_are_settled_together_and_no_others(
    pool: Pool, settings: Settings, chosen: Chosen, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.doubts._AT_ONCE", 1)
    await plan(pool, 4)
    kinds = [(shop, touchpoint) for shop in ("fjallbod", "norrvik") for touchpoint in ("locker", "home")]
    for n, (shop, touchpoint) in enumerate(kinds):
        await pool.execute(FACTS, f"D-{n}", shop, touchpoint)
    sender = dispatcher(pool, settings, ScriptedChannel([IN_DOUBT]))
    await work(sender)
    settled = await resolve_doubts(pool, sender._settling, chosen, Verdict.AGAIN)
    assert settled == 4 - len(left)
    assert [r["what"] for r in await pool.fetch(STILL)] == left


async def test_who_is_in_doubt_again_while_the_command_runs_is_not_sent_to_once_more(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.doubts._AT_ONCE", 1)
    await plan(pool, 3)
    channel = ScriptedChannel([IN_DOUBT])
    sender = dispatcher(pool, settings, channel)
    await work(sender)
    rounds = 0

    class Answerless(Settling):
        """A dispatcher sends again what was settled, and its provider does not answer again."""

        async def write(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
            nonlocal rounds
            rounds += 1
            assert rounds < 10, "it settles without an end"
            moved = await super().write(settlements)
            await pool.execute("UPDATE invitation SET due_at = clock_timestamp() WHERE state = 'planned'")
            await work(sender)
            return moved

    with_answers = sender._settling
    settling = Answerless(with_answers.pool, with_answers.persons, with_answers.relay, with_answers.now)
    assert await resolve_doubts(pool, settling, Chosen(channel="email"), Verdict.AGAIN) == 3
    assert len(channel.calls) == 6
    assert await state_of(pool) == ("in_doubt", "gateway_timeout", 2)


async def test_a_person_may_have_it_sent_after_the_last_attempt_of_our_own(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel([IN_DOUBT, Result(Fate.ACCEPTED)])
    sender = dispatcher(pool, settings, channel)
    await work(sender)
    await pool.execute("UPDATE invitation SET attempts = 8")
    await resolve_doubts(pool, sender._settling, Chosen(channel="email"), Verdict.AGAIN)
    await work(sender)
    assert await state_of(pool) == ("accepted", None, 9)


async def test_reconciling_names_a_delivery_that_was_read_and_never_decided(pool: Pool, settings: Settings) -> None:
    topic = await make_topic(settings)
    await plan(pool, 2, suppressed=1)
    values = [delivery(delivery_id=f"D-{n}").model_dump_json().encode() for n in (0, 1, 2, 7, 8)]
    await produce(settings, topic, [*values[:3], b"{", *values[3:]])
    await pool.execute(
        "INSERT INTO progress (topic, part, cluster_id, topic_id, next) VALUES ($1, 0, 'c', $2, 5)",
        topic,
        uuid4(),
    )
    connection = await connect(settings, "notifier")
    found = await reconcile(connection, settings, topic)
    assert (found.records, found.unreadable, found.undecided) == (5, 1, ["D-7"])  # D-8 is not read yet
    assert found.lines()[0] == "NOT CLEAN: 3 delivered = 0 asked + 1 suppressed + 2 pending + 0 failed"
    assert found.lines()[-1] == "  D-7: read, and never decided"
    assert await reconcile(connection, settings, topic, at_once=1) == found
    await plan(pool, 8)
    assert (await reconcile(connection, settings, topic)).clean
    await connection.execute("DELETE FROM invitation WHERE delivery_id = 'D-0'")
    broken = await reconcile(connection, settings, topic)
    assert (broken.ledger.gap, broken.lone) == (1, ["D-0"])
    assert broken.miscounted == {"pending": (6, 7)}
    await connection.close()
