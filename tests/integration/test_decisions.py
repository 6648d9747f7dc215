"""Every delivery is decided exactly once, for ever (guarantee 3), and nothing personal stands in clear."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from schemas.delivery import ChannelKind, DeliveryCompleted
from schemas.invitation import InvitationDecided
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, Pool
from services.chassis.record_lines import Became
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.notifier.explaining import explain
from services.notifier.handlers import DecideDeliveries
from services.notifier.policy import Rules
from services.notifier.stored import stored_decision
from tests.builders import EMAIL, NOON, SMS, always, arrived, delivery
from tests.conftest import SEALING_KEY
from tests.harness import begin, record
from tests.tables import everything_stored

pytestmark = pytest.mark.service("notifier")

Deliveries = Sequence[Received[DeliveryCompleted]]


def decide_deliveries(now: datetime = NOON + timedelta(minutes=1)) -> DecideDeliveries:
    return DecideDeliveries.with_queries(
        rules=Rules(timedelta(hours=72), timedelta(0), frozenset(ChannelKind)),
        seal=Seal(bytes.fromhex(SEALING_KEY)),
        brand="Nordposten Demo",
        link_lifetime=timedelta(days=14),
        metrics=Metrics(),
        now=always(now),
    )


async def take(pool: Pool, deliveries: Deliveries, decide: DecideDeliveries | None = None) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await (decide or decide_deliveries())(connection, deliveries)


async def secrets_of(pool: Pool) -> list[dict[str, str]]:
    """Address and token of every invitation, opened with the keys of their persons."""
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT person, sealed, invitation_id FROM invitation")
        things = [Sealed(r["person"], r["sealed"], str(r["invitation_id"])) for r in rows]
        opened = await PersonKeys(Seal(bytes.fromhex(SEALING_KEY))).open_all(connection, things)
    return [json.loads(str(text)) for text in opened]


async def events(pool: Pool) -> list[InvitationDecided]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'invitation.decided.v1' ORDER BY id")
    return [InvitationDecided.model_validate_json(r["value"]) for r in rows]


async def test_a_delivery_becomes_one_decision_one_invitation_and_one_event(pool: Pool) -> None:
    await take(pool, [arrived(delivery())])
    decision = await pool.fetchrow("SELECT * FROM decision")
    invitation = await pool.fetchrow("SELECT * FROM invitation")
    assert decision is not None
    assert invitation is not None
    assert (decision["delivery_id"], decision["outcome"], decision["reason"]) == ("D-1", "scheduled", None)
    assert (invitation["state"], invitation["channel"], invitation["language"]) == ("planned", "email", "sv")
    [event] = await events(pool)
    assert (event.outcome, event.revision, event.invitation_id) == (
        "scheduled",
        1,
        str(invitation["invitation_id"]),
    )
    decided_at = NOON + timedelta(minutes=1)
    assert (event.decided_at, invitation["invitation_id"].version) == (decided_at, 7)
    assert invitation["invitation_id"].int >> 80 == decided_at.timestamp() * 1000
    assert bytes.fromhex(str(event.token_sha256)) == invitation["token_sha256"]
    assert event.expires_at == NOON + timedelta(days=14, minutes=1)


async def test_a_suppressed_delivery_is_recorded_with_its_reasons_and_told(pool: Pool) -> None:
    await take(pool, [arrived(delivery(channels=(), exceptions=["damaged", "claim_open"]))])
    decision = await pool.fetchrow("SELECT * FROM decision")
    assert decision is not None
    assert decision["outcome"] == "suppressed"
    assert decision["matched"] == ["exception_open", "no_reachable_channel"]
    assert json.loads(decision["evidence"]) == {"exceptions": "damaged,claim_open", "given": ""}
    [event] = await events(pool)
    assert (event.outcome, event.reason) == ("suppressed", "exception_open")
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 0


async def test_what_became_of_each_delivery_is_known_for_its_line(pool: Pool) -> None:
    decide = decide_deliveries()
    damaged = arrived(delivery(delivery_id="D-2", exceptions=["damaged"]))
    async with pool.acquire() as connection, connection.transaction():
        became = await decide(connection, [arrived(delivery()), damaged])
        again = await decide(connection, [arrived(delivery())])
    assert became.of("D-1") == {"outcome": "scheduled", "reason": None}
    assert became.of("D-2") == {"outcome": "suppressed", "reason": "exception_open"}
    assert again.of("D-1") == {"outcome": "decided_before"}


async def test_a_decision_that_is_taken_back_and_made_again_is_counted_once(pool: Pool) -> None:
    decide, part = decide_deliveries(), await begin(pool, "deliveries")
    faults = [asyncpg.DeadlockDetectedError("deadlock detected")]

    async def taken_back(connection: Database, deliveries: Deliveries) -> Became:
        became = await decide(connection, deliveries)
        if faults:
            raise faults.pop()
        return became

    fence: Fence[Received[DeliveryCompleted]] = Fence(
        pool=pool,
        service="notifier",
        group="g",
        decode=lambda record: arrived(DeliveryCompleted.model_validate_json(record.value)),
        apply=taken_back,
        dead_letter_topics={"deliveries": "deliveries.dlq"},
        metrics=Metrics(),
    )
    batch = {part: [record("deliveries", 0, delivery().model_dump_json().encode())]}
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await fence.take(batch)
    for _ in range(2):  # brought again, it changes nothing
        await fence.take(batch)
    labels = {"outcome": "scheduled", "reason": "none"}
    assert decide.metrics.registry.get_sample_value("kvittera_decisions_total", labels) == 1
    assert await pool.fetchval("SELECT count(*) FROM decision") == 1


async def test_a_stored_decision_is_explained_in_plain_words(pool: Pool) -> None:
    await take(pool, [arrived(delivery(exceptions=["damaged"])), arrived(delivery(delivery_id="D-2"))])
    async with pool.acquire() as connection:
        suppressed, asked, unknown = [await stored_decision(connection, d) for d in ("D-1", "D-2", "D-3")]
    assert suppressed is not None
    assert asked is not None
    assert unknown is None
    assert "  NO  exception_open            Something went wrong with the parcel: damaged." in list(explain(suppressed))
    assert list(explain(asked))[-2:] == ["Asked by email, in sv.", "The message is due 2026-10-13 12:01:00 UTC."]


@pytest.mark.parametrize(
    ("changed", "moment", "reason"),
    [
        ({"exceptions": ["partial"]}, NOON, "exception_open"),
        ({}, NOON - timedelta(hours=1), "in_the_future"),
        ({}, NOON + timedelta(days=400), "too_old"),
    ],
)
async def test_every_reason_can_be_written_down_and_told(
    pool: Pool, changed: dict[str, Any], moment: datetime, reason: str
) -> None:
    await take(pool, [arrived(delivery(**changed))], decide_deliveries(now=moment))
    assert [e.reason for e in await events(pool)] == [reason]


async def test_deliveries_repeated_and_shuffled_over_many_batches_are_decided_once(pool: Pool) -> None:
    deliveries = [
        arrived(delivery(delivery_id=f"D-{n}", exceptions=["damaged"] if n % 3 == 0 else [])) for n in range(40)
    ] * 3
    shuffled = random.Random(11)
    shuffled.shuffle(deliveries)
    while deliveries:
        size = shuffled.randint(1, 25)
        batch, deliveries = deliveries[:size], deliveries[size:]
        await take(pool, batch)
    assert await pool.fetchval("SELECT count(*) FROM decision") == 40
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 26
    told = [e.delivery.delivery_id for e in await events(pool)]
    assert sorted(told) == sorted(f"D-{n}" for n in range(40))


async def test_a_replay_a_year_later_decides_nothing_anew(pool: Pool) -> None:
    await take(pool, [arrived(delivery())])
    await take(pool, [arrived(delivery())], decide_deliveries(now=NOON + timedelta(days=365)))
    assert len(await events(pool)) == 1
    assert await pool.fetchval("SELECT outcome FROM decision") == "scheduled"


async def test_two_processes_with_the_same_delivery_decide_it_once(pool: Pool) -> None:
    batches = [[arrived(delivery(delivery_id=f"D-{n}")) for n in range(20)] for _ in range(4)]
    await asyncio.gather(*(take(pool, batch) for batch in batches))
    assert await pool.fetchval("SELECT count(*) FROM decision") == 20
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 20
    assert len(await events(pool)) == 20


async def test_one_of_several_parcels_of_a_drop_is_asked_about(pool: Pool) -> None:
    parcels = [arrived(delivery(delivery_id=f"D-{n}", drop_id="stop-7")) for n in range(3)]
    await take(pool, parcels[:2])
    await take(pool, parcels[2:])
    rows = await pool.fetch("SELECT delivery_id, reason FROM decision ORDER BY delivery_id")
    assert [tuple(r.values()) for r in rows] == [
        ("D-0", None),
        ("D-1", "drop_already_asked"),
        ("D-2", "drop_already_asked"),
    ]


@pytest.mark.parametrize(
    ("shared", "reason"), [({"drop_id": "stop-7"}, "drop_already_asked"), ({"order_id": "O-9"}, "order_already_asked")]
)
async def test_two_transactions_with_a_parcel_each_ask_once_about_the_drop_or_order(
    pool: Pool, shared: dict[str, Any], reason: str
) -> None:
    first, second = (arrived(delivery(delivery_id=f"D-{n}", **shared)) for n in (1, 2))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await decide_deliveries()(connection, [first])
        other = asyncio.create_task(take(pool, [second]))
        while not other.done() and not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        assert not other.done()
        await transaction.commit()
    await other
    rows = await pool.fetch("SELECT delivery_id, outcome, reason FROM decision ORDER BY delivery_id")
    assert [tuple(r.values()) for r in rows] == [
        ("D-1", "scheduled", None),
        ("D-2", "suppressed", reason),
    ]
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 1


async def test_orders_of_two_shops_with_one_number_are_both_asked_about(pool: Pool) -> None:
    shops = [arrived(delivery(delivery_id=f"D-{m}", merchant_id=m, order_id="1001")) for m in ("fjallbod", "havsbris")]
    await take(pool, shops)
    await take(pool, [arrived(delivery(delivery_id="D-3", merchant_id="havsbris", order_id="1001"))])
    rows = await pool.fetch("SELECT delivery_id, reason FROM decision ORDER BY delivery_id")
    assert [tuple(r.values()) for r in rows] == [
        ("D-3", "order_already_asked"),
        ("D-fjallbod", None),
        ("D-havsbris", None),
    ]


async def test_no_address_phone_number_or_token_stands_in_clear_anywhere(pool: Pool) -> None:
    people = [(EMAIL, SMS), (SMS, EMAIL)]
    await take(
        pool,
        [arrived(delivery(channels=c, delivery_id=f"D-{n}")) for n, c in enumerate(people)],
    )
    stored = await everything_stored(pool)
    secrets = await secrets_of(pool)
    canaries = {"astrid.canary", "46701740634", "701740634", *(s["token"] for s in secrets)}
    assert len(canaries) == 5
    assert {s["address"] for s in secrets} == {"astrid.canary@mottagare.example", "+46701740634"}
    assert "Fjällbod" in stored  # the search does find what is there
    for canary in canaries:
        assert canary not in stored
        assert canary.encode().hex() not in stored


@pytest.mark.parametrize("written", ["+46 (0)70 174.06.34", "+46 70-174 06\u201334", "+46701740634"])
async def test_a_phone_number_is_kept_for_its_message_as_providers_dial_it(pool: Pool, written: str) -> None:
    await take(pool, [arrived(delivery(channels=({"kind": "sms", "address": written},)))])
    assert [s["address"] for s in await secrets_of(pool)] == ["+46701740634"]


async def test_tokens_differ_and_have_128_bits(pool: Pool) -> None:
    await take(pool, [arrived(delivery(delivery_id=f"D-{n}")) for n in range(200)])
    tokens = {secret["token"] for secret in await secrets_of(pool)}
    assert len(tokens) == 200
    assert {len(t) for t in tokens} == {22}
