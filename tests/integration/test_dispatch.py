"""A provider call starts at most once per invitation (guarantee 4), and what came of it is told truly."""

import asyncio
from collections import Counter

import asyncpg
import pytest

from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.channels import Fate, Message, Result
from services.notifier.dispatch import Limits
from tests.builders import SMS
from tests.conftest import SEALING_KEY
from tests.sending import (
    ACCEPTED,
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


async def test_an_accepted_message_is_asked_and_its_secret_forgotten(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert await state_of(pool) == ("accepted", None, 1)
    assert await told(pool) == [(1, "scheduled", None), (2, "asked", None)]
    assert await pool.fetchval("SELECT sealed IS NULL FROM invitation")
    assert [m.address for m in channel.calls] == ["astrid.canary@mottagare.example"]


async def test_a_phone_number_that_was_sealed_as_people_write_it_is_dialled_without_marks(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, channels=(SMS,))
    seal = Seal(bytes.fromhex(SEALING_KEY))
    async with pool.acquire() as connection:
        row = await connection.fetchrow("SELECT invitation_id, person FROM invitation")
        assert row is not None
        known = (await PersonKeys(seal).look_up(connection, [row["person"]]))[row["person"]]
        box = (await PersonKeys(seal).for_closing(connection, [known]))[row["person"]]
        secret = box.close('{"address": "+46 (0)70 174.06.34", "token": "t"}', str(row["invitation_id"]))
        await connection.execute("UPDATE invitation SET sealed = $1", secret)
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert [m.address for m in channel.calls] == ["+46701740634"]


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
