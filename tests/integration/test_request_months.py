"""Requests by month in a real PostgreSQL: a month goes with its rows, and everything told of it stays true."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from services.chassis.ids import first_of
from services.chassis.metrics import Metrics
from services.chassis.month_bounds import OF_IDS, midnight
from services.chassis.months import later, month_of
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, named_sql
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.channels.reports import Progress, Report
from services.notifier.explaining import explain
from services.notifier.ledger import Ledger, read_ledger
from services.notifier.policy import Policies
from services.notifier.receipts import UNKNOWN, ReceiptsInbox
from services.notifier.request_months import let_go
from services.notifier.retention import months
from services.notifier.stored import stored_decision
from tests.conftest import SEALING_KEY
from tests.harness import until
from tests.sending import ACCEPTED, ScriptedChannel, dispatcher, ledger, plan

pytestmark = pytest.mark.service("notifier")

SQL = named_sql("services.notifier", "queries.sql", "reconcile.sql")
REMINDING = Policies.model_validate({"hours": {"reminder_days": 3}})
SETTLED = ("accepted", "refused", "unknown", "withheld")


def month(number: int) -> date:
    return later(month_of(datetime.now(UTC)), number)


def named(number: int) -> str:
    return f"invitation_{month(number):%Y_%m}"


async def months_from(pool: Pool, first: int) -> None:
    """Months one by one up to this one, as after years of running, in place of what was kept before."""
    await pool.execute("DROP TABLE invitation_before")
    for n in range(first, 1):
        bounds = f"FROM ('{OF_IDS.write(month(n))}') TO ('{OF_IDS.write(month(n + 1))}')"
        await pool.execute(f"CREATE TABLE {named(n)} PARTITION OF invitation FOR VALUES {bounds}")


async def request(pool: Pool, number: int, at: datetime, state: str, kind: str = "ask") -> UUID:
    """A delivery that was decided about then, and its request in a state."""
    delivery = f"D-{number}"
    invitation = UUID(int=first_of(at).int + number + 1000 * (kind == "reminder"))
    async with pool.acquire() as connection, connection.transaction():
        if kind == "ask":
            await connection.execute(
                "INSERT INTO decision (delivery_id, kind, decided_at, outcome) VALUES ($1, 'ask', $2, 'scheduled')",
                delivery,
                at,
            )
        await connection.execute(
            "INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at,"
            " occurred_at, called_at, token_sha256, message)"
            " VALUES ($1, $2, $3, 'planned', $4, 'sms', 'sv', $5, $5, $5, $4, '{}')",
            invitation,
            delivery,
            kind,
            b"p" * 16,
            at,
        )
        await connection.execute(
            "UPDATE invitation SET state = $2, reason = $3 WHERE invitation_id = $1 AND state <> $2",
            invitation,
            state,
            "returned" if state == "withheld" else None,
        )
    return invitation


async def drop(pool: Pool, settings: Settings) -> list[str]:
    """Drop requests of all months before the last 16, whatever the day."""
    kept = months(settings)
    requests = replace(kept.tables[1], keep=datetime.now(UTC) - midnight(month(-16)))
    async with pool.acquire() as connection:
        dropped = await replace(kept, tables=(requests,)).drop(connection, datetime.now(UTC))
        assert dropped is not None
        return dropped["invitation"]


async def by_the_tables(pool: Pool) -> Ledger:
    return Ledger.of(await pool.fetch(SQL["tables_counted"]))


async def lone(pool: Pool) -> list[str]:
    """Deliveries whose decision and request do not belong together."""
    found = []
    for name in ("scheduled_without_invitation", "invitation_without_decision"):
        found += [r["delivery_id"] for r in await pool.fetch(SQL[name], 20)]
    return found


async def test_requests_have_room_and_each_new_month_its_indexes_and_half_of_each_page(
    pool: Pool, settings: Settings
) -> None:
    kept = months(settings)
    async with pool.acquire() as connection:
        assert (await kept.room(connection))["invitation"] >= 2
        assert await kept.prepare(connection) == []
        await connection.execute("DROP TABLE invitation_before")
        assert await kept.prepare(connection) == [named(0), named(1), named(2)]
    told = await pool.fetchrow(
        "SELECT reloptions, (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes"
        " FROM pg_class AS c WHERE oid = to_regclass($1)",
        named(2),
    )
    assert told is not None
    assert tuple(told) == (["fillfactor=50"], 5)
    await plan(pool, 3, suppressed=1)
    places = await pool.fetch("SELECT DISTINCT tableoid::regclass::text AS place FROM invitation")
    assert [r["place"] for r in places] == [named(0)]
    assert await ledger(pool) == {
        "delivered": 4,
        "asked": 0,
        "suppressed": 1,
        "pending": 3,
        "failed": 0,
        "in_doubt": 0,
    }


async def test_a_month_of_requests_goes_and_the_ledger_and_every_proof_stay(pool: Pool, settings: Settings) -> None:
    await months_from(pool, -18)
    old, kept = midnight(month(-17)) + timedelta(days=3), midnight(month(-1))
    for number, state in enumerate((*SETTLED, "accepted"), 1):
        await request(pool, number, old, state)
    await request(pool, 1, old, "refused", "reminder")
    await request(pool, 10, kept, "accepted")
    await plan(pool, 0, suppressed=1)
    before = await by_the_tables(pool)
    assert (before.delivered, before.asked, before.suppressed, before.failed) == (7, 3, 2, 2)

    assert await drop(pool, settings) == [named(-18), named(-17)]
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 1
    assert await by_the_tables(pool) == before
    assert before.gap == 0
    assert await lone(pool) == []
    await pool.execute(SQL["fold_ledger"])
    async with pool.acquire() as connection:
        assert await read_ledger(connection) == before
    assert (await ledger(pool))["delivered"] == 7


async def test_what_is_told_of_a_delivery_whose_month_went_is_what_is_known(pool: Pool, settings: Settings) -> None:
    await months_from(pool, -18)
    reference = await request(pool, 1, midnight(month(-17)), "accepted")
    await request(pool, 2, midnight(month(-1)), "accepted")
    assert await drop(pool, settings) == [named(-18), named(-17)]
    async with pool.acquire() as connection:
        gone, kept = [await stored_decision(connection, f"D-{n}") for n in (1, 2)]
    assert gone is not None
    assert kept is not None
    lines = list(explain(gone))
    assert lines[0].startswith("Delivery D-1 was asked about. Decided ")
    assert lines[-1] == "What became of the message is not kept any more: requests of that month are past their time."
    assert "Asked by sms, in sv." in list(explain(kept))
    inbox = ReceiptsInbox(pool, PersonKeys(Seal(bytes.fromhex(SEALING_KEY))), timedelta(days=1), Metrics())
    assert await inbox.take("elks", Report(str(reference), "s1", "sent", Progress.SENT, b"")) == UNKNOWN


async def test_a_decision_that_lost_its_request_in_a_month_that_stays_is_still_found(
    pool: Pool, settings: Settings
) -> None:
    await months_from(pool, -18)
    await request(pool, 1, midnight(month(-17)), "accepted")
    await request(pool, 2, midnight(month(-16)) + timedelta(days=30), "accepted")
    await drop(pool, settings)
    await pool.execute("DELETE FROM invitation WHERE delivery_id = 'D-2'")
    assert await lone(pool) == ["D-2"]


@pytest.mark.parametrize("state", ["planned", "calling", "in_doubt"])
async def test_an_open_request_holds_its_month_until_it_is_settled(pool: Pool, settings: Settings, state: str) -> None:
    await months_from(pool, -18)
    await request(pool, 1, midnight(month(-17)), "accepted")
    await request(pool, 2, midnight(month(-17)), state)
    assert await drop(pool, settings) == [named(-18)]
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 2
    await pool.execute("UPDATE invitation SET state = 'unknown' WHERE delivery_id = 'D-2'")
    assert await drop(pool, settings) == [named(-17)]
    assert (await by_the_tables(pool)).failed == 1


async def test_sums_of_a_month_that_could_not_be_detached_count_nothing_twice(pool: Pool, settings: Settings) -> None:
    await months_from(pool, -18)
    await request(pool, 1, midnight(month(-17)), "accepted")
    before = await by_the_tables(pool)
    kept = months(settings)
    async with pool.acquire() as connection:
        [part] = [p for p in await kept.parts(connection, kept.tables[1]) if p.name == named(-17)]
        assert await let_go(connection, part)
        assert await by_the_tables(pool) == before
        await connection.execute(f"ALTER TABLE invitation DETACH PARTITION {named(-17)}")
    assert await by_the_tables(pool) == before


async def test_what_stops_requests_finds_those_of_every_month_that_has_an_open_one(pool: Pool) -> None:
    await months_from(pool, -3)
    state = named_sql("services.notifier", "state.sql")
    for number, ago in enumerate((3, 2, 1, 0)):
        await request(pool, number, midnight(month(-ago)), "planned" if ago < 3 else "accepted")
    stopped = [["D-0", "D-1", "D-3"], ["returned"] * 3, [False] * 3]
    rows = await pool.fetch(state["withhold_deliveries"], *stopped)
    assert sorted(r["delivery_id"] for r in rows) == ["D-1", "D-3"]
    assert [r["delivery_id"] for r in await pool.fetch(state["withhold_persons"], [b"p" * 16])] == ["D-2"]
    assert await pool.fetch(state["withhold_persons"], [b"p" * 16]) == []


async def test_two_that_settle_one_request_at_once_plan_one_reminder(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await pool.execute("UPDATE invitation SET state = 'calling', fence = 1, called_at = now()")
    row = await pool.fetchrow("SELECT * FROM invitation")
    assert row is not None
    settling = dispatcher(pool, settings, ScriptedChannel(), policies=REMINDING)._settling
    async with pool.acquire() as other:
        async with other.transaction():
            await other.execute("SELECT 1 FROM invitation FOR UPDATE")
            both = [asyncio.create_task(settling.write([settling.of(row, ACCEPTED, 1)])) for _ in range(2)]
            await until(lambda: other.fetchval("SELECT count(*) = 2 FROM pg_locks WHERE NOT granted"))
        assert sorted(moved for [moved] in await asyncio.gather(*both)) == [False, True]
    states = await pool.fetch("SELECT kind, state FROM invitation ORDER BY kind")
    assert [tuple(r) for r in states] == [("ask", "accepted"), ("reminder", "planned")]


async def test_a_settlement_of_an_earlier_attempt_plans_no_reminder(pool: Pool, settings: Settings) -> None:
    await plan(pool)
    await pool.execute("UPDATE invitation SET state = 'calling', fence = 1, called_at = now()")
    row = await pool.fetchrow("SELECT * FROM invitation")
    assert row is not None
    await pool.execute("UPDATE invitation SET fence = 2")
    settling = dispatcher(pool, settings, ScriptedChannel(), policies=REMINDING)._settling
    assert await settling.write([settling.of(row, ACCEPTED, 1)]) == [False]
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 1
