"""All that may have changed since the decision is read again under the row's lock, just before a request leaves."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from schemas.disruption import DeliveryDisruption
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.channels import Fate, Message, Result
from services.notifier.claim import Claims, Permits
from services.notifier.dispatch import Limits
from services.notifier.ledger import read_ledger
from services.notifier.policy import Policies
from services.notifier.send_guard import persons_allowed
from services.notifier.state import KeepState
from services.notifier.volume import pause_when_too_many
from tests.conftest import SEALING_KEY
from tests.sending import (
    LIMITS,
    REFUSED_FOR_NOW,
    ScriptedChannel,
    dispatcher,
    ledger,
    now,
    plan,
    state_of,
    told,
    work,
)

pytestmark = pytest.mark.service("notifier")

BUDGET_OF_ONE = Policies.model_validate({"contact": {"carrier": {"most": 1, "days": 30}}})
BUDGET_OF_A_SHOP = Policies.model_validate({"contact": {"merchant": {"most": 1, "days": 30}}})
REMINDING = Policies.model_validate({"hours": {"reminder_days": 3}})
CAPPED = Limits(
    concurrency=50, lease_seconds=60, max_age_seconds=72 * 3600, in_doubt_deadline_seconds=3600, cap_per_minute=60
)


async def waiting(pool: Pool) -> bool:
    found: bool = await pool.fetchval("SELECT EXISTS (SELECT 1 FROM invitation WHERE state = 'planned')")
    return found


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


async def age_calls(pool: Pool, seconds: int) -> None:
    """Let the clock of the caps run on: everything was so much earlier."""
    await pool.execute("UPDATE send_second SET second = second - $1", seconds)


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


async def test_of_a_thousand_due_at_once_sixty_leave_in_any_minute_over_three_dispatchers(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 1000)
    channels = [ScriptedChannel() for _ in range(3)]
    senders = [dispatcher(pool, settings, c, CAPPED) for c in channels]

    async def left() -> int:
        before = sum(len(c.calls) for c in channels)
        while any(await asyncio.gather(*(work(s) for s in senders))):
            pass
        return sum(len(c.calls) for c in channels) - before

    assert await left() == 60
    await age_calls(pool, 40)
    assert await left() == 0
    await age_calls(pool, 23)
    assert await left() == 60


async def test_no_process_waits_for_the_claim_of_another(pool: Pool, settings: Settings) -> None:
    await plan(pool, 2)
    await pool.execute("INSERT INTO person_key (person, erased_at) VALUES (decode(md5(''), 'hex'), '2000-01-01')")
    await pool.execute("UPDATE invitation SET person = decode(md5(''), 'hex') WHERE delivery_id = 'D-1'")
    first, second = (dispatcher(pool, settings, ScriptedChannel(), CAPPED)._claiming.claims for _ in range(2))
    async with pool.acquire() as one, pool.acquire() as other, asyncio.timeout(10):
        permits = await first.permits(one, 1)
        async with one.transaction():
            taken = await first.take(one, permits)
            permits = await second.permits(other, 2)
            async with other.transaction():
                taken += await second.take(other, permits)
    assert sorted(r["delivery_id"] for r in taken) == ["D-0", "D-1"]


async def test_two_that_want_the_last_permits_at_once_are_counted_one_after_the_other(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 40)
    cap = replace(CAPPED, cap_per_minute=30)
    claims = [dispatcher(pool, settings, ScriptedChannel(), cap)._claiming.claims for _ in range(2)]

    async def room(mine: Claims) -> int:
        async with pool.acquire() as connection:
            return sum((await mine.permits(connection, 50)).room.values())

    async with pool.acquire() as holder, asyncio.timeout(10):
        async with holder.transaction():
            await holder.execute("SELECT pg_advisory_xact_lock(hashtext('kvittera send caps'))")
            asking = [asyncio.create_task(room(c)) for c in claims]
            while (
                await holder.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") < 2
            ):
                await asyncio.sleep(0)
        assert sorted(await asyncio.gather(*asking)) == [10, 20]


async def test_permits_that_no_call_used_are_free_again(pool: Pool, settings: Settings) -> None:
    await plan(pool, 21 + 9)
    await pool.execute("INSERT INTO correction SELECT 'D-' || n, 'returned', 1 FROM generate_series(0, 8) AS n")
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, CAPPED)
    assert await work(sender) == 11
    assert await pool.fetchval("SELECT array_agg((channel, n)::text) FROM send_second") == ["(email,11)"]
    assert await pool.fetchval("SELECT array_agg((channel, n)::text) FROM send_hour") == ["(email,11)"]
    assert await work(sender) == 10
    assert len(channel.calls) == 21


async def test_permits_of_a_process_that_died_with_them_come_free_after_their_minute(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 70)
    dead, heir = (dispatcher(pool, settings, ScriptedChannel(), CAPPED) for _ in range(2))
    async with pool.acquire() as connection:
        for _ in range(3):
            assert (await dead._claiming.claims.permits(connection, 50)).room == {"email": 20}
        assert (await dead._claiming.claims.permits(connection, 50)).room == {}
    assert await work(heir) == 0
    await age_calls(pool, 63)
    assert await work(heir) == 20


async def test_permits_wait_for_no_disk_but_claims_do(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel(), CAPPED)
    async with pool.acquire() as connection:
        permits = await sender._claiming.claims.permits(connection, 1)
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        await sender._claiming.claims.give_back(connection, permits, [])
        assert await connection.fetchval("SHOW synchronous_commit") == "on"


async def test_nothing_is_claimed_by_permits_from_before_the_pause(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel(), CAPPED)
    async with pool.acquire() as connection:
        permits = await sender._claiming.claims.permits(connection, 1)
        await connection.execute("UPDATE switch SET is_on = false")
        async with connection.transaction():
            assert await sender._claiming.claims.take(connection, permits) == []
        assert (await sender._claiming.claims.permits(connection, 1)).room == {}


async def test_a_process_that_was_paused_between_its_claim_and_its_call_gives_its_permit_up(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool)
    channel = ScriptedChannel()
    sender = dispatcher(pool, settings, channel, CAPPED)
    ticks = iter([0.0, 2.5])
    sender.clock = lambda: next(ticks)
    sender._breaker.clock = lambda: 0.0
    await work(sender)
    assert channel.calls == []
    assert await state_of(pool) == ("planned", "permit_expired", 0)


async def test_far_more_calls_than_usual_pause_sending_until_an_operator_has_looked(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 20)
    sender = dispatcher(pool, settings, ScriptedChannel(), CAPPED)
    metrics = Metrics()
    await pool.execute("UPDATE switch SET changed_at = now() - interval '1 minute'")
    await work(sender)
    async with pool.acquire() as connection:
        assert not await pause_when_too_many(connection, metrics, 20)
        assert await pause_when_too_many(connection, metrics, 19)
    assert metrics.registry.get_sample_value("kvittera_volume_pauses_total", {"channel": "email"}) == 1
    assert metrics.registry.get_sample_value("kvittera_sending_on") == 0
    assert await work(sender) == 0
    await pool.execute("UPDATE switch SET is_on = true, changed_at = now() + interval '1 second'")
    async with pool.acquire() as connection:
        assert not await pause_when_too_many(connection, metrics, 19)  # counts anew since it was resumed


async def test_thrice_the_busiest_hour_is_usual(pool: Pool, settings: Settings) -> None:
    await plan(pool, 20)
    await pool.execute("UPDATE switch SET changed_at = now() - interval '1 minute'")
    await work(dispatcher(pool, settings, ScriptedChannel(), CAPPED))
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO send_hour VALUES ('email', floor(extract(epoch FROM now()) / 3600)::bigint - 5, 7)"
        )
        assert not await pause_when_too_many(connection, Metrics(), 1)
        await connection.execute("UPDATE send_hour SET n = 6 WHERE n = 7")
        assert await pause_when_too_many(connection, Metrics(), 1)


async def test_a_provider_that_fails_ten_times_in_a_row_is_left_alone_and_then_asked_once(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 30)
    channel = ScriptedChannel([REFUSED_FOR_NOW] * 11 + [Result(Fate.ACCEPTED)])
    sender = dispatcher(
        pool,
        settings,
        channel,
        Limits(
            concurrency=10,
            lease_seconds=LIMITS.lease_seconds,
            max_age_seconds=LIMITS.max_age_seconds,
            in_doubt_deadline_seconds=LIMITS.in_doubt_deadline_seconds,
        ),
    )
    clock = [0.0]
    sender._breaker.clock = lambda: clock[0]
    await work(sender)
    assert len(channel.calls) == 10
    for _ in range(3):
        assert await work(sender) == 0
    clock[0] = 3.0
    assert await work(sender) == 1
    assert await work(sender) == 0  # that one failed too
    clock[0] = 9.0
    assert await work(sender) == 1
    assert await work(sender) == 10


async def test_sixty_four_hand_overs_that_hang_hold_no_connection_to_the_database(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 64)
    answer = asyncio.Event()

    async def hang(_: Message) -> None:
        await answer.wait()

    channel = ScriptedChannel(before_answer=hang)
    sender = dispatcher(pool, settings, channel, Limits(64, 60, 72 * 3600, 3600))
    assert await sender._begin_some() == 64
    while len(channel.calls) < 64:
        await asyncio.sleep(0)
    assert pool.get_idle_size() == pool.get_size()
    answer.set()
    await asyncio.wait(sender._sending)
    assert (await ledger(pool))["asked"] == 64
