"""Erasing a person at the notifier: nothing can be opened, no replay brings it back, the ledger holds (D21, E24)."""

import json
from datetime import datetime, timedelta

import asyncpg
import pytest

from schemas.delivery import ChannelKind, DeliveryCompleted
from schemas.invitation import InvitationDecided
from schemas.recipient import PersonErased
from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, database_time, named_sql
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.cli.erase import _told
from services.notifier.channels.viewer import OutboxViewer
from services.notifier.dispatch import Dispatcher, Limits, utc_now
from services.notifier.erasure import Eraser, Erasure, person_of
from services.notifier.handlers import DecideDeliveries
from services.notifier.policy import Policies, Rules
from services.notifier.render import Renderer, Sender
from tests.builders import EMAIL, SMS, arrived, delivery
from tests.conftest import SEALING_KEY

pytestmark = pytest.mark.service("notifier")

SEAL = Seal(bytes.fromhex(SEALING_KEY))
ASTRID = person_of(SEAL, ChannelKind.EMAIL, EMAIL["address"])
BO = {"kind": "email", "address": "bo@mottagare.example"}


def decide_deliveries() -> DecideDeliveries:
    return DecideDeliveries.with_queries(
        rules=Rules(timedelta(hours=72), timedelta(0), frozenset(ChannelKind)),
        seal=SEAL,
        brand="Nordposten Demo",
        link_lifetime=timedelta(days=14),
        metrics=Metrics(),
        now=database_time,
    )


async def take(pool: Pool, *deliveries: DeliveryCompleted) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await decide_deliveries()(connection, [arrived(d, utc_now()) for d in deliveries])


async def erase(pool: Pool, person: bytes = ASTRID, at: datetime | None = None) -> Erasure:
    async with pool.acquire() as connection, connection.transaction():
        return await Eraser(PersonKeys(SEAL))(connection, person, at or utc_now())


def dispatcher(pool: Pool, settings: Settings, policies: Policies) -> Dispatcher:
    metrics = Metrics()
    return Dispatcher(
        pool=pool,
        channel=OutboxViewer(pool, SEAL),
        renderer=Renderer(Sender("Nordposten Demo", "08-465 004 10", "hjalp@nordposten.example", "http://127.0.0.1")),
        seal=SEAL,
        relay=Relay(settings, "notifier", metrics),
        limits=Limits(concurrency=8, lease_seconds=60, max_age_seconds=72 * 3600, in_doubt_deadline_seconds=3600),
        metrics=metrics,
        now=utc_now,
        policies=lambda: policies,
    )


async def send_what_is_due(pool: Pool, settings: Settings, policies: Policies | None = None) -> None:
    await pool.execute("DELETE FROM outbox_waiting")
    d = dispatcher(pool, settings, policies or Policies())
    await d._begin_some()
    while d._sending:
        await next(iter(d._sending))


async def openable(pool: Pool) -> list[str]:
    """Everything sealed in any table that any key that is left can open, whatever row it is bound to."""
    rows = await pool.fetch("SELECT wrapped, person FROM person_key WHERE wrapped IS NOT NULL")
    keys = PersonKeys(SEAL)
    boxes = [SEAL, *(keys._unwrap(r["person"], r["wrapped"]) for r in rows)]
    rows = await pool.fetch(
        "SELECT sealed, invitation_id::text AS row FROM invitation WHERE sealed IS NOT NULL"
        " UNION ALL SELECT sealed, 'message ' || reference FROM viewer_message WHERE sealed IS NOT NULL"
    )
    found = []
    for row in rows:
        for box in boxes:
            try:
                found.append(box.open(row["sealed"], row["row"]))
            except Poison:
                continue
    return found


async def told(pool: Pool, topic: str) -> list[str]:
    rows: list[asyncpg.Record] = await pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", topic)
    return [r["value"].decode() for r in rows]


async def ledger_gap(pool: Pool) -> int:
    row = await pool.fetchrow(named_sql("services.notifier")["ledger"])
    assert row is not None
    return int(row["delivered"] - row["asked"] - row["suppressed"] - row["pending"] - row["failed"])


async def test_an_erased_person_cannot_be_read_from_any_table_and_others_can(pool: Pool, settings: Settings) -> None:
    await take(pool, delivery(delivery_id="D-1", occurred_at=utc_now()))
    await send_what_is_due(pool, settings)
    await take(
        pool,
        delivery(delivery_id="D-2", occurred_at=utc_now()),
        delivery((BO,), delivery_id="D-3", occurred_at=utc_now()),
    )
    sealed_before = await pool.fetch("SELECT sealed FROM invitation WHERE person = $1", ASTRID)
    assert len([t for t in await openable(pool) if EMAIL["address"] in t]) == 2
    erased = await erase(pool)
    assert (erased.withdrawn, erased.messages) == (1, 1)
    left = await openable(pool)
    assert [t for t in left if EMAIL["address"] in t] == []
    assert [json.loads(t)["address"] for t in left] == ["bo@mottagare.example"]
    # A backup of the sealed bytes is no use either: the key is gone.
    keys = [r["person"] for r in await pool.fetch("SELECT person FROM person_key WHERE wrapped IS NOT NULL")]
    assert ASTRID not in keys
    assert len(sealed_before) == 2


async def test_what_was_planned_is_withdrawn_and_told_and_the_ledger_holds(pool: Pool, settings: Settings) -> None:
    await take(pool, delivery(occurred_at=utc_now()))
    await erase(pool)
    await send_what_is_due(pool, settings)
    assert tuple(await pool.fetchrow("SELECT state, reason, attempts FROM invitation") or ()) == (
        "withheld",
        "erased",
        0,
    )
    decisions = [InvitationDecided.model_validate_json(v) for v in await told(pool, "invitation.decided.v1")]
    assert [(d.revision, d.outcome.value, d.reason) for d in decisions] == [
        (1, "scheduled", None),
        (2, "suppressed", "erased"),
    ]
    assert await ledger_gap(pool) == 0


async def test_a_reminder_that_is_withdrawn_leaves_the_decision_as_it_was_told(pool: Pool, settings: Settings) -> None:
    await take(pool, delivery(occurred_at=utc_now()))
    await send_what_is_due(pool, settings, Policies.model_validate({"hours": {"reminder_days": 3}}))
    erased = await erase(pool)
    assert erased.withdrawn == 1
    rows = await pool.fetch("SELECT kind, state FROM invitation ORDER BY kind")
    assert [tuple(r) for r in rows] == [("ask", "accepted"), ("reminder", "withheld")]
    decisions = [InvitationDecided.model_validate_json(v) for v in await told(pool, "invitation.decided.v1")]
    assert [(d.revision, d.outcome.value) for d in decisions] == [(1, "scheduled"), (2, "asked")]


async def test_every_service_is_told_once_by_pseudonym(pool: Pool) -> None:
    await take(pool, delivery(occurred_at=utc_now()))
    await erase(pool)
    second = await erase(pool)
    [event] = [PersonErased.model_validate_json(v) for v in await told(pool, "person.erased.v1")]
    assert event.person_id == ASTRID.hex()
    assert second == Erasure(ASTRID, before=event.requested_at)


async def test_who_was_never_here_is_told_from_who_was_so_that_a_misspelt_address_is_seen(pool: Pool) -> None:
    await take(pool, delivery(occurred_at=utc_now()))
    stranger = await erase(pool, person_of(SEAL, ChannelKind.EMAIL, "astird@mottagare.example"))
    assert (stranger.known, (await erase(pool)).known) == (False, True)
    assert "is the address right?" in _told(stranger)


async def test_a_replay_of_every_delivery_brings_nothing_back(pool: Pool, settings: Settings) -> None:
    before = [delivery(delivery_id=f"D-{n}", occurred_at=utc_now()) for n in range(3)]
    await take(pool, *before)
    await erase(pool)
    late = delivery(delivery_id="D-late", occurred_at=utc_now() - timedelta(hours=1))
    await take(pool, *before, late)
    await send_what_is_due(pool, settings)
    assert await openable(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM viewer_message") == 0
    assert await pool.fetchval("SELECT reason FROM decision WHERE delivery_id = 'D-late'") == "erased"
    assert await ledger_gap(pool) == 0


async def test_an_erasure_by_a_clock_that_is_behind_covers_every_delivery_that_is_known(pool: Pool) -> None:
    at = utc_now().replace(microsecond=0) + timedelta(minutes=4)
    await take(pool, delivery(delivery_id="D-1", occurred_at=at - timedelta(hours=2)))
    await take(pool, delivery(delivery_id="D-2", occurred_at=at))
    await erase(pool, at=utc_now() - timedelta(hours=3))
    [event] = [PersonErased.model_validate_json(v) for v in await told(pool, "person.erased.v1")]
    latest = await pool.fetchval("SELECT max(occurred_at) FROM invitation WHERE person = $1", ASTRID)
    assert event.requested_at == latest == at
    assert await pool.fetchval("SELECT erased_at FROM person_key WHERE person = $1", ASTRID) == at


async def test_any_erased_address_of_the_recipient_silences_deliveries_from_before(pool: Pool) -> None:
    await erase(pool, person_of(SEAL, ChannelKind.SMS, "+46 70-174 06 34"))
    await take(pool, delivery((EMAIL, SMS), occurred_at=utc_now() - timedelta(hours=1)))
    assert await pool.fetchval("SELECT reason FROM decision") == "erased"


async def test_a_delivery_after_the_erasure_is_a_new_relation_that_can_be_erased_again(
    pool: Pool, settings: Settings
) -> None:
    await take(pool, delivery(delivery_id="D-1", occurred_at=utc_now()))
    await erase(pool)
    await take(pool, delivery(delivery_id="D-2", occurred_at=utc_now()))
    await send_what_is_due(pool, settings)
    assert [json.loads(t)["recipient"] for t in await openable(pool)] == [EMAIL["address"]]
    assert (await erase(pool)).before is None
    assert await openable(pool) == []
    assert len(await told(pool, "person.erased.v1")) == 2
