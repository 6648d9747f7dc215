"""A provider call starts at most once per invitation (guarantee 4), and what came of it is told truly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from structlog.testing import capture_logs

from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.viewer import OutboxViewer
from services.notifier.dispatch import Dispatcher, Limits
from tests.conftest import SEALING_KEY
from tests.sending import (
    ACCEPTED,
    HASTY,
    IN_DOUBT,
    REFUSED,
    REFUSED_FOR_NOW,
    ScriptedChannel,
    dispatcher,
    ledger,
    plan,
    relay_everything,
    state_of,
    told,
    work,
)

pytestmark = pytest.mark.service("notifier")


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


async def test_an_accepted_message_is_asked_and_its_secret_forgotten(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert await state_of(pool) == ("accepted", None, 1)
    assert await told(pool) == [(1, "scheduled", None), (2, "asked", None)]
    assert await pool.fetchval("SELECT sealed IS NULL FROM invitation")
    assert [m.address for m in channel.calls] == ["astrid.canary@mottagare.example"]


async def test_a_definite_refusal_is_final(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel([REFUSED])
    d = dispatcher(pool, settings, channel)
    await work(d)
    await work(d)
    assert await state_of(pool) == ("refused", "smtp_550", 1)
    assert await told(pool) == [(1, "scheduled", None), (2, "failed", "smtp_550")]
    assert len(channel.calls) == 1


async def test_a_refusal_for_now_is_tried_again_with_the_same_reference(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel([REFUSED_FOR_NOW, ACCEPTED])
    d = dispatcher(pool, settings, channel)
    await work(d)
    assert await state_of(pool) == ("planned", "smtp_451", 1)
    await work(d)
    assert await state_of(pool) == ("accepted", None, 2)
    assert await told(pool) == [(1, "scheduled", None), (2, "asked", None)]
    assert channel.calls[0].reference == channel.calls[1].reference
    assert channel.calls[0].fence < channel.calls[1].fence


async def test_a_provider_that_asks_for_time_gets_it_and_drawn_pauses_that_double_on_top(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel([Result(Fate.REFUSED_FOR_NOW, "smtp_451", again_after=300)])
    d = dispatcher(pool, settings, channel, share=lambda _, high: high)
    waits = []
    for _ in range(4):
        await work(d)
        waits.append(
            await pool.fetchval(
                "UPDATE invitation SET due_at = clock_timestamp()"
                " RETURNING round(extract(epoch FROM old.due_at - clock_timestamp()))::int"
            )
        )
    assert waits == [301, 330, 360, 420]


async def test_after_eight_refusals_it_has_failed(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel([REFUSED_FOR_NOW])
    d = dispatcher(pool, settings, channel)
    for _ in range(10):
        await work(d)
    assert len(channel.calls) == 8
    assert await state_of(pool) == ("refused", "smtp_451", 8)
    assert (await told(pool))[-1] == (2, "failed", "smtp_451")


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


async def test_a_message_that_cannot_be_made_is_refused_without_a_call(pool: Pool, settings: Settings) -> None:
    await plan(pool, 2)
    await pool.execute("UPDATE invitation SET language = 'xx' WHERE delivery_id = 'D-0'")
    await pool.execute("UPDATE invitation SET sealed = '\\x00' || sealed WHERE delivery_id = 'D-1'")
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert channel.calls == []
    assert await state_of(pool, "D-0") == ("refused", "unrenderable", 1)
    assert await state_of(pool, "D-1") == ("refused", "unsealable", 1)
    assert (await ledger(pool))["failed"] == 2


async def test_calling_is_committed_before_the_channel_sees_the_first_byte(pool: Pool, settings: Settings) -> None:
    await plan(pool, 3)
    seen: list[tuple[str, bool, int]] = []

    async def look_from_outside(message: Message) -> None:
        outside = await asyncpg.connect(settings.postgres_dsn.get_secret_value())
        row = await outside.fetchrow(
            "SELECT state, reference = $1 AS same, attempts FROM notifier.invitation"
            " WHERE invitation_id = $1::text::uuid",
            message.reference,
        )
        await outside.close()
        assert row is not None
        seen.append((row["state"], row["same"], row["attempts"]))

    await work(dispatcher(pool, settings, ScriptedChannel(before_answer=look_from_outside)))
    assert seen == [("calling", True, 1)] * 3


async def test_no_call_begins_when_it_cannot_be_committed(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    d = dispatcher(pool, settings, channel)
    await pool.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE ON invitation FOR EACH ROW WHEN (NEW.state = 'calling')"
        " EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(asyncpg.RaiseError):
        await work(d)
    await asyncio.sleep(0.05)
    assert channel.calls == []


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
        await dead._claim(connection, await dead._claims.permits(connection, 8))
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
    await sending
    assert await pool.fetchrow("SELECT * FROM invitation") == before
    assert await told(pool) == said == [(1, "scheduled", None), (2, "in_doubt", "interrupted")]


async def test_a_provider_that_does_not_answer_holds_no_connection_and_no_transaction(
    pool: Pool, settings: Settings
) -> None:
    """H61: fifty calls are under way, and every connection that the notifier has is free."""
    answered = asyncio.Event()

    async def wait(_: Message) -> None:
        await answered.wait()

    await plan(pool, 50)
    channel = ScriptedChannel(before_answer=wait)
    d = dispatcher(pool, settings, channel, Limits(50, 60, 72 * 3600, 3600))
    assert await d._begin_some() == 50
    async with asyncio.timeout(20):
        while len(channel.calls) < 50:
            await asyncio.sleep(0.01)
    assert pool.get_idle_size() == pool.get_size()
    open_transactions = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
    )
    assert await pool.fetchval(f"{open_transactions} AND pid <> pg_backend_pid()") == 0
    answered.set()
    await asyncio.wait(d._sending)
    assert (await ledger(pool))["asked"] == 50


NO_END = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON invitation FOR EACH ROW
WHEN (NEW.delivery_id = 'D-0' AND NEW.state IN ('accepted', 'unknown')) EXECUTE FUNCTION refuse()
"""
"""The end of one request cannot be written, now or ever."""


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


async def test_with_the_switch_off_nobody_is_called(pool: Pool, settings: Settings) -> None:
    await plan(pool, 5)
    channel = ScriptedChannel()
    d = dispatcher(pool, settings, channel)
    await pool.execute("UPDATE switch SET is_on = false")
    assert await work(d) == 0
    await pool.execute("DELETE FROM switch")  # nobody knows: that is off, too
    assert await work(d) == 0
    assert channel.calls == []
    assert (await ledger(pool))["pending"] == 5
    await pool.execute("INSERT INTO switch VALUES ('sending', true)")
    assert await work(d) == 5


async def test_with_an_unreadable_switch_nobody_is_called(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    await pool.execute("DROP TABLE switch")
    with pytest.raises(asyncpg.UndefinedTableError):
        await work(dispatcher(pool, settings, channel))
    assert channel.calls == []


async def test_with_postgres_away_nobody_is_called_and_the_dispatcher_waits(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    stop = asyncio.Event()
    pool.terminate()
    running = asyncio.create_task(dispatcher(pool, settings, channel).run(stop))
    await asyncio.sleep(0.3)
    assert not running.done()
    assert channel.calls == []
    stop.set()
    await running


async def test_what_has_become_too_old_before_the_claim_is_withheld_and_told(pool: Pool, settings: Settings) -> None:
    await plan(pool, 2)
    await pool.execute(
        "UPDATE invitation SET occurred_at = occurred_at - interval '73 hours' WHERE delivery_id = 'D-0'"
    )
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert [m.reference for m in channel.calls] == [
        str(await pool.fetchval("SELECT invitation_id FROM invitation WHERE delivery_id = 'D-1'"))
    ]
    assert await state_of(pool, "D-0") == ("withheld", "too_old", 0)
    assert await told(pool, "D-0") == [(1, "scheduled", None), (2, "suppressed", "too_old")]
    assert await pool.fetchval("SELECT sealed IS NULL FROM invitation WHERE delivery_id = 'D-0'")
    counted = await ledger(pool)
    assert (counted["delivered"], counted["asked"], counted["suppressed"]) == (2, 1, 1)


async def test_a_deploy_that_makes_a_thousand_old_invitations_due_sends_none(pool: Pool, settings: Settings) -> None:
    await plan(pool, 1000)
    await pool.execute("UPDATE invitation SET occurred_at = occurred_at - interval '30 days'")
    channel = ScriptedChannel()
    d = dispatcher(pool, settings, channel, Limits(500, 60, 72 * 3600, 3600))
    while await work(d):
        pass
    while await d._begin_some():
        pass
    assert channel.calls == []
    # A claim hands out withheld rows, too; nothing is left to claim in the end.
    assert await pool.fetchval("SELECT count(*) FROM invitation WHERE state = 'withheld'") == 1000


async def test_nothing_is_sent_before_kafka_knows_of_the_invitation(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await pool.execute("INSERT INTO outbox_waiting (id, key_hash, shard) SELECT id, hashbytea(key), shard FROM outbox")
    channel = ScriptedChannel()
    d = dispatcher(pool, settings, channel)
    assert await d._begin_some() == 0
    await relay_everything(pool)
    assert await work(d) == 1
    assert len(channel.calls) == 1


async def test_three_dispatchers_at_once_send_each_of_200_invitations_once(pool: Pool, settings: Settings) -> None:
    await plan(pool, 200, suppressed=20)

    all_call = asyncio.Event()

    async def once_all_call(_: Message) -> None:
        if all(c.calls for c in channels):
            all_call.set()
        await all_call.wait()

    channels = [ScriptedChannel(before_answer=once_all_call) for _ in range(3)]
    stop = asyncio.Event()
    running = [asyncio.create_task(dispatcher(pool, settings, c).run(stop)) for c in channels]
    async with asyncio.timeout(60):
        while (counted := await ledger(pool))["asked"] < 200:
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*running)
    calls = Counter(m.reference for c in channels for m in c.calls)
    assert len(calls) == 200
    assert set(calls.values()) == {1}
    assert {k: counted[k] for k in ("delivered", "asked", "suppressed", "pending", "failed")} == {
        "delivered": 220,
        "asked": 200,
        "suppressed": 20,
        "pending": 0,
        "failed": 0,
    }


async def test_the_books_balance_after_every_step_of_every_fate(pool: Pool, settings: Settings) -> None:
    await plan(pool, 12, suppressed=3)
    fates = [ACCEPTED, REFUSED, REFUSED_FOR_NOW, IN_DOUBT]
    channel = ScriptedChannel([fates[n % 4] for n in range(12)] + [ACCEPTED])
    one_at_a_time = dispatcher(pool, settings, channel, Limits(1, 60, 72 * 3600, 3600))
    steps = [await ledger(pool)]
    for _ in range(20):
        await one_at_a_time._begin_some()
        steps.append(await ledger(pool))
        if one_at_a_time._sending:
            await asyncio.wait(one_at_a_time._sending)
        steps.append(await ledger(pool))
    await pool.execute("UPDATE invitation SET called_at = called_at - interval '2 hours'")
    await one_at_a_time.sweep.once()
    last = await ledger(pool)
    assert {s["delivered"] for s in steps} == {15}
    assert {k: last[k] for k in ("asked", "suppressed", "pending", "failed")} == {
        "asked": 6,
        "suppressed": 3,
        "pending": 0,
        "failed": 6,
    }


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


async def test_the_next_claim_waits_until_a_quarter_of_the_calls_are_back(pool: Pool, settings: Settings) -> None:
    await plan(pool, 12)
    may_end: asyncio.Queue[None] = asyncio.Queue()

    async def when_told(_: Message) -> None:
        await may_end.get()

    channel = ScriptedChannel(before_answer=when_told)
    d = dispatcher(pool, settings, channel)
    stop = asyncio.Event()
    sending = asyncio.create_task(d.run(stop))

    async def calls(n: int) -> None:
        async with asyncio.timeout(60):
            while len(channel.calls) < n:
                await asyncio.sleep(0)

    await calls(8)
    may_end.put_nowait(None)
    while len(d._sending) == 8:
        await asyncio.sleep(0)
    assert not d._has_room()
    may_end.put_nowait(None)
    await calls(10)
    for _ in range(12):
        may_end.put_nowait(None)
    await calls(12)
    stop.set()
    await sending
    assert (await ledger(pool))["asked"] == 12
