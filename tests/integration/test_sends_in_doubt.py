"""Sends that were interrupted, or whose end nobody knows, are in doubt: never sent again, and ended (guarantee 4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.viewer import OutboxViewer
from services.notifier.dispatch import Dispatcher, Limits
from services.notifier.doubts import Chosen, resolve_doubts
from services.notifier.verdicts import Verdict
from tests.conftest import SEALING_KEY
from tests.sending import (
    ACCEPTED,
    HASTY,
    IN_DOUBT,
    REFUSED,
    REFUSED_FOR_NOW,
    REMINDING,
    ScriptedChannel,
    dispatcher,
    ledger,
    plan,
    state_of,
    told,
    work,
)

pytestmark = pytest.mark.service("notifier")

NO_END = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON invitation FOR EACH ROW
WHEN (NEW.delivery_id = 'D-0' AND NEW.state IN ('accepted', 'unknown')) EXECUTE FUNCTION refuse()
"""
"""The end of one request cannot be written, now or ever."""


async def forget_leases(pool: Pool) -> None:
    await pool.execute("UPDATE invitation SET lease_until = clock_timestamp() - interval '1 second'")


@asynccontextmanager
async def interrupted(d: Dispatcher, channel: ScriptedChannel) -> AsyncIterator[None]:
    """A process that dies while the provider has the message and has not answered."""
    received = asyncio.Event()

    async def never_answer(_: Message) -> None:
        received.set()
        await asyncio.Event().wait()

    channel.before_answer = never_answer
    await d._begin_some()
    await asyncio.wait_for(received.wait(), 60)
    tasks = list(d._sending)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    channel.before_answer = None
    yield


async def test_a_doubt_is_kept_and_never_sent_again(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel([IN_DOUBT])
    d = dispatcher(pool, settings, channel)
    for _ in range(3):
        await work(d)
        await d.sweep.once()
    assert len(channel.calls) == 1
    assert await state_of(pool) == ("in_doubt", "smtp_timeout", 1)
    assert await told(pool) == [(1, "scheduled", None), (2, "in_doubt", "smtp_timeout")]
    assert (await ledger(pool))["pending"] == 1


async def test_a_channel_that_breaks_leaves_a_doubt(pool: Pool, settings: Settings) -> None:
    async def break_down(_: Message) -> None:
        raise RuntimeError("a fault in the adapter")

    await plan(pool)
    channel = ScriptedChannel(before_answer=break_down)
    d = dispatcher(pool, settings, channel)
    await work(d)
    await work(d)
    assert await state_of(pool) == ("in_doubt", "RuntimeError", 1)
    assert len(channel.calls) == 1


async def test_a_crash_during_the_call_leaves_a_doubt_that_ends_as_unknown(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    async with interrupted(dispatcher(pool, settings, channel), channel):
        assert await state_of(pool) == ("calling", None, 1)
    successor = dispatcher(pool, settings, channel)
    await successor.sweep.once()
    assert (await state_of(pool))[0] == "calling"  # the lease still runs
    await forget_leases(pool)
    for _ in range(3):
        await successor.sweep.once()
        await work(successor)
    assert (await state_of(pool))[0] == "in_doubt"
    await pool.execute("UPDATE invitation SET called_at = called_at - interval '2 hours'")
    await successor.sweep.once()
    await work(successor)
    assert len(channel.calls) == 1
    assert await state_of(pool) == ("unknown", "fate_unknown", 1)
    assert await told(pool) == [
        (1, "scheduled", None),
        (2, "in_doubt", "interrupted"),
        (3, "failed", "fate_unknown"),
    ]
    assert (await ledger(pool))["failed"] == 1


async def test_a_crash_between_claim_and_call_is_a_doubt_like_any_other(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    dead = dispatcher(pool, settings, channel)
    async with pool.acquire() as connection:
        await dead._claiming.claim(connection, await dead._claiming.claims.permits(connection, 8), 0.0)
    heir = dispatcher(pool, settings, channel)
    await forget_leases(pool)
    await heir.sweep.once()
    assert await work(heir) == 0
    assert await state_of(pool) == ("in_doubt", None, 1)
    assert await told(pool) == [(1, "scheduled", None), (2, "in_doubt", "interrupted")]
    assert channel.calls == []


async def test_what_an_earlier_version_claimed_and_did_not_call_is_given_back(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    await pool.execute("UPDATE invitation SET state = 'claimed', lease_until = clock_timestamp() + interval '1 minute'")
    heir = dispatcher(pool, settings, channel)
    assert await work(heir) == 0
    await forget_leases(pool)
    await heir.sweep.once()
    await work(heir)
    assert await state_of(pool) == ("accepted", None, 1)
    assert len(channel.calls) == 1


async def test_a_claim_whose_lease_has_run_out_does_not_call(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    late = dispatcher(pool, settings, channel, Limits(8, -1, 72 * 3600, 3600))
    await work(late)
    assert channel.calls == []
    assert await state_of(pool) == ("planned", "permit_expired", 0)


@pytest.mark.parametrize(
    ("found", "state", "outcome"),
    [
        (ACCEPTED, "accepted", "asked"),
        (REFUSED, "refused", "failed"),
        (REFUSED_FOR_NOW, "planned", "scheduled"),
    ],
)
async def test_a_provider_that_can_be_asked_resolves_the_doubt(
    pool: Pool, settings: Settings, found: Result, state: str, outcome: str
) -> None:
    await plan(pool)
    channel = ScriptedChannel([IN_DOUBT], known=lambda _: found)
    d = dispatcher(pool, settings, channel)
    await work(d)
    await d.sweep.once()
    assert (await state_of(pool))[0] == state
    assert [(revision, what) for revision, what, _ in await told(pool)] == [
        (1, "scheduled"),
        (2, "in_doubt"),
        (3, outcome),
    ]
    assert len(channel.calls) == 1


async def test_a_doubt_that_comes_again_and_again_ends_after_eight_calls(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel([IN_DOUBT], known=lambda _: REFUSED_FOR_NOW)
    d = dispatcher(pool, settings, channel)
    for _ in range(12):
        await work(d)
        await d.sweep.once()
    assert len(channel.calls) == 8
    assert (await state_of(pool))[0] == "refused"


@pytest.mark.parametrize("contested", [False, True])
async def test_an_answer_settles_the_doubt_about_its_request(pool: Pool, settings: Settings, contested: bool) -> None:
    await plan(pool)
    d = dispatcher(pool, settings, ScriptedChannel([IN_DOUBT]), policies=REMINDING)
    await work(d)
    await pool.execute("INSERT INTO answered VALUES ('D-0', $1)", contested)
    await d.sweep.once()
    assert await state_of(pool) == ("accepted", "answered", 1)
    assert (await told(pool))[-1] == (3, "asked", "answered")
    assert (await ledger(pool))["asked"] == 1
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 1  # nobody is reminded of it


async def test_an_answer_says_nothing_of_a_reminder_in_doubt(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    d = dispatcher(pool, settings, ScriptedChannel([ACCEPTED, IN_DOUBT]), policies=REMINDING)
    await work(d)
    await pool.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    await work(d)
    await pool.execute("INSERT INTO answered VALUES ('D-0', false)")
    await d.sweep.once()
    assert await pool.fetchval("SELECT state FROM invitation WHERE kind = 'reminder'") == "in_doubt"


@pytest.mark.parametrize("tried", [REFUSED_FOR_NOW, IN_DOUBT])
async def test_who_has_answered_is_not_sent_to_again(pool: Pool, settings: Settings, tried: Result) -> None:
    await plan(pool)
    channel = ScriptedChannel([tried, ACCEPTED])
    d = dispatcher(pool, settings, channel)
    await work(d)
    await resolve_doubts(pool, d._settling, Chosen(channel="email"), Verdict.AGAIN)
    assert (await state_of(pool))[0] == "planned"
    await pool.execute("INSERT INTO answered VALUES ('D-0', false)")
    await work(d)
    await d.sweep.once()
    assert len(channel.calls) == 1
    assert await state_of(pool) == ("accepted", "answered", 1)
    assert (await told(pool))[-1][1:] == ("asked", "answered")
    assert (await ledger(pool))["asked"] == 1


@pytest.mark.parametrize("arrived_before_the_crash", [True, False])
async def test_the_outbox_viewer_knows_what_became_of_an_interrupted_message(
    pool: Pool, settings: Settings, arrived_before_the_crash: bool
) -> None:
    await plan(pool)
    viewer = OutboxViewer(pool, Seal(bytes.fromhex(SEALING_KEY)))
    dying = ScriptedChannel()
    async with interrupted(dispatcher(pool, settings, dying), dying):
        if arrived_before_the_crash:
            assert await viewer.send(dying.calls[0]) == ACCEPTED
    await forget_leases(pool)
    heir = dispatcher(pool, settings, viewer)
    await heir.sweep.once()
    await work(heir)
    assert await state_of(pool) == ("accepted", None, 1 if arrived_before_the_crash else 2)
    assert await pool.fetchval("SELECT count(*) FROM viewer_message") == 1


async def test_a_process_that_lost_its_lease_cannot_hand_over_to_the_viewer(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    zombie = ScriptedChannel()
    async with interrupted(dispatcher(pool, settings, zombie), zombie):
        pass
    await forget_leases(pool)
    viewer = OutboxViewer(pool, Seal(bytes.fromhex(SEALING_KEY)))
    await dispatcher(pool, settings, viewer).sweep.once()
    assert await viewer.send(zombie.calls[0]) == Result(Fate.IN_DOUBT, "lease_lost")
    assert await pool.fetchval("SELECT count(*) FROM viewer_message") == 0


async def test_a_late_settlement_of_an_old_lease_changes_nothing(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    answer = asyncio.Event()
    received = asyncio.Event()

    async def answer_late(_: Message) -> None:
        received.set()
        await answer.wait()

    slow = dispatcher(pool, settings, ScriptedChannel([REFUSED_FOR_NOW], before_answer=answer_late))
    sending = asyncio.create_task(work(slow))
    await asyncio.wait_for(received.wait(), 60)
    await forget_leases(pool)
    heir = dispatcher(pool, settings, ScriptedChannel())
    await heir.sweep.once()
    before = await pool.fetchrow("SELECT * FROM invitation")
    said = await told(pool)
    answer.set()
    with capture_logs() as lines:
        await sending
    assert [(line["event"], line["result"]) for line in lines] == [("a call ended after its lease", "refused_for_now")]
    assert await pool.fetchrow("SELECT * FROM invitation") == before
    assert await told(pool) == said == [(1, "scheduled", None), (2, "in_doubt", "interrupted")]


def unsettled(d: Dispatcher) -> float | None:
    return d.metrics.registry.get_sample_value("kvittera_unsettled_total", {"channel": "email"})


async def test_a_call_whose_end_cannot_be_written_is_told_and_comes_into_doubt(pool: Pool, settings: Settings) -> None:
    await plan(pool, 2)
    await pool.execute(NO_END)
    d = dispatcher(pool, settings, ScriptedChannel())
    with capture_logs() as lines:
        await work(d)

    lost = await pool.fetchval("SELECT invitation_id::text FROM invitation WHERE delivery_id = 'D-0'")
    assert [(line["action"], line["invitation_id"], line["error"]) for line in lines] == [
        ("in_doubt", lost, "RaiseError")
    ]
    assert unsettled(d) == 1
    assert await state_of(pool, "D-0") == ("calling", None, 1)
    assert await state_of(pool, "D-1") == ("accepted", None, 1)
    await forget_leases(pool)
    await d.sweep.once()
    assert (await state_of(pool, "D-0"))[0] == "in_doubt"


async def test_a_doubt_whose_end_cannot_be_written_holds_up_no_other(pool: Pool, settings: Settings) -> None:
    await plan(pool, 2)
    await pool.execute(NO_END)
    d = dispatcher(pool, settings, ScriptedChannel([IN_DOUBT]))
    await work(d)
    await pool.execute("UPDATE invitation SET called_at = called_at - interval '2 hours'")
    with capture_logs() as lines:
        await d.sweep.once()

    assert [line["event"] for line in lines] == ["what came of a call cannot be written"]
    assert unsettled(d) == 1
    assert (await state_of(pool, "D-0"))[0] == "in_doubt"
    assert (await state_of(pool, "D-1"))[0] == "unknown"


async def test_the_sweeper_runs_by_itself_until_stopped(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    async with interrupted(dispatcher(pool, settings, channel), channel):
        await forget_leases(pool)
    stop = asyncio.Event()
    sweeping = asyncio.create_task(dispatcher(pool, settings, channel, HASTY).sweep.run(stop))
    async with asyncio.timeout(60):
        while (await state_of(pool))[0] != "in_doubt":
            await asyncio.sleep(0.02)
    stop.set()
    await sweeping
