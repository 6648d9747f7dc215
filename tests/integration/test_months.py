"""Tables by month in a real PostgreSQL: room is made ahead and once, old months go whole, young rows stay."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from services.chassis.metrics import Metrics
from services.chassis.months import CLOCKS_AGREE, MonthlyTable, Months, later, month_of
from services.chassis.postgres import Database, Pool, connect
from services.chassis.settings import Settings
from services.doctor.storage import months as doctor_months

pytestmark = pytest.mark.service("notifier")


def this_month() -> date:
    return month_of(datetime.now(UTC))


def named(months: int) -> str:
    return f"receipt_{later(this_month(), months):%Y_%m}"


async def receipt(connection: "Pool | Database", number: int, at: datetime) -> None:
    await connection.execute(
        "INSERT INTO receipt (provider, message_id, status, invitation_id, received_at)"
        " VALUES ('elks', $1, '', $2, $3)",
        f"s{number}",
        UUID(int=number),
        at,
    )


async def receipts(pool: Pool) -> list[str]:
    return [r["message_id"] for r in await pool.fetch("SELECT message_id FROM receipt ORDER BY message_id")]


async def names(pool: Pool) -> list[str]:
    async with pool.acquire() as connection:
        return [p.name for p in await kept_months().parts(connection, kept_months().tables[0])]


def start_of(months: int) -> datetime:
    return datetime.combine(later(this_month(), months), datetime.min.time(), UTC)


def keep() -> timedelta:
    """Whole months before the last two are past it; asked by each test, for a run may go on into another month."""
    return datetime.now(UTC) - start_of(-2)


def kept_months() -> Months:
    return Months("notifier", (MonthlyTable("receipt", keep()),))


async def months_from(pool: Pool, first: int) -> None:
    """Months one by one up to this one, as after a year of running, in place of what was kept before."""
    await pool.execute("DROP TABLE receipt_before")
    for n in range(first, 1):
        await pool.execute(
            f"CREATE TABLE {named(n)} PARTITION OF receipt FOR VALUES FROM ('{start_of(n)}') TO ('{start_of(n + 1)}')"
        )


async def drop(pool: Pool, now: datetime | None = None) -> dict[str, list[str]] | None:
    async with pool.acquire() as connection:
        return await kept_months().drop(connection, now or datetime.now(UTC))


async def test_a_new_schema_has_room_for_this_month_and_two_more(pool: Pool) -> None:
    assert await names(pool) == [named(1), named(2), "receipt_before"]
    async with pool.acquire() as connection:
        assert await kept_months().room(connection) == {"receipt": 2}
        assert await kept_months().prepare(connection) == []


async def test_several_processes_make_a_missing_month_once_while_others_write(pool: Pool, settings: Settings) -> None:
    await pool.execute(f"DROP TABLE {named(2)}")
    writing = asyncio.Event()

    async def process() -> list[str]:
        connection = await connect(settings, "notifier")
        await writing.wait()
        try:
            return await kept_months().prepare(connection)
        finally:
            await connection.close()

    async def write() -> None:
        for number in range(100):
            await receipt(pool, number, datetime.now(UTC))
            writing.set()

    async with pool.acquire() as writer, writer.transaction():
        await receipt(writer, 1000, datetime.now(UTC))  # not committed: whoever makes room does not wait for it
        made, *_ = await asyncio.gather(asyncio.gather(*(process() for _ in range(4))), write())
    assert sorted(n for names in made for n in names) == [named(2)]
    assert len(await receipts(pool)) == 101


async def test_a_row_of_a_month_that_has_no_room_is_refused_and_hidden_nowhere(pool: Pool) -> None:
    far = datetime.now(UTC) + timedelta(days=400)
    with pytest.raises(asyncpg.CheckViolationError, match="no partition"):
        await receipt(pool, 1, far)
    assert await receipts(pool) == []


@pytest.mark.usefixtures("pool")
async def test_rows_lie_in_the_month_of_utc_also_when_the_session_has_another_zone(settings: Settings) -> None:
    connection = await connect(settings, "notifier")
    await connection.execute("SET timezone TO 'Pacific/Auckland'")
    await connection.execute(f"DROP TABLE {named(1)}")
    assert await kept_months().prepare(connection) == [named(1)]
    boundary = datetime.combine(later(this_month(), 1), datetime.min.time(), UTC)
    await receipt(connection, 1, boundary - timedelta(microseconds=1))
    await receipt(connection, 2, boundary)
    found = await connection.fetch("SELECT message_id, tableoid::regclass::text AS part FROM receipt ORDER BY 1")
    await connection.close()
    assert [tuple(r) for r in found] == [("s1", "receipt_before"), ("s2", named(1))]


async def test_a_month_past_its_time_goes_whole_and_what_retention_keeps_stays(pool: Pool) -> None:
    await months_from(pool, -4)
    for number, at in enumerate((start_of(-4), start_of(-2) - timedelta(microseconds=1), start_of(-1), start_of(0))):
        await receipt(pool, number, at)
    async with pool.acquire() as connection:
        assert await kept_months().due(connection) == {"receipt": [named(-4), named(-3)]}
    assert await drop(pool) == {"receipt": [named(-4), named(-3)]}
    assert await receipts(pool) == ["s2", "s3"]
    assert await names(pool) == [named(n) for n in range(-2, 3)]
    assert await drop(pool) == {"receipt": []}
    with pytest.raises(asyncpg.CheckViolationError, match="no partition"):
        await receipt(pool, 5, start_of(-4))


async def test_nothing_goes_while_the_clocks_disagree(pool: Pool) -> None:
    await months_from(pool, -4)
    ahead = datetime.now(UTC) + CLOCKS_AGREE + timedelta(minutes=1)
    assert await drop(pool, ahead) == {"receipt": []}
    assert named(-4) in await names(pool)


async def test_of_two_processes_one_drops_at_a_time(pool: Pool) -> None:
    await months_from(pool, -4)
    async with pool.acquire() as other:
        assert await other.fetchval(kept_months().sql["try_dropping"])
        assert await drop(pool) is None
        await other.execute(kept_months().sql["end_dropping"])
    assert await drop(pool) == {"receipt": [named(-4), named(-3)]}


async def test_what_a_process_that_died_left_over_goes_next_time_and_what_somebody_took_out_stays(pool: Pool) -> None:
    await months_from(pool, -4)
    await pool.execute(await pool.fetchval(kept_months().sql["mark"], named(-4)))
    await pool.execute(f"ALTER TABLE receipt DETACH PARTITION {named(-4)} CONCURRENTLY")
    await pool.execute(f"ALTER TABLE receipt DETACH PARTITION {named(-3)}")  # to keep it elsewhere
    assert await drop(pool) == {"receipt": [named(-4)]}
    assert await pool.fetchval("SELECT to_regclass($1)", named(-4)) is None
    assert await pool.fetchval("SELECT to_regclass($1)", named(-3)) is not None


async def test_a_month_whose_detaching_was_cut_short_is_finished(pool: Pool, settings: Settings) -> None:
    await months_from(pool, -4)
    reader = await connect(settings, "notifier")
    reading = reader.transaction(isolation="repeatable_read")
    await reading.start()
    await reader.fetch("SELECT * FROM receipt")
    connection = await connect(settings, "notifier")
    await connection.execute("SET lock_timeout = '100ms'")
    await connection.execute(await connection.fetchval(kept_months().sql["mark"], named(-4)))
    with pytest.raises(asyncpg.LockNotAvailableError):
        await connection.execute(f"ALTER TABLE receipt DETACH PARTITION {named(-4)} CONCURRENTLY")
    await connection.close()
    await reading.rollback()
    await reader.close()
    assert await drop(pool) == {"receipt": [named(-4), named(-3)]}
    assert await names(pool) == [named(n) for n in range(-2, 3)]


async def test_readers_and_writers_go_on_while_a_month_is_made(pool: Pool, settings: Settings) -> None:
    await pool.execute(f"DROP TABLE {named(2)}")
    connection = await connect(settings, "notifier")
    making = connection.transaction()
    await making.start()
    assert await kept_months().prepare(connection) == [named(2)]
    async with pool.acquire() as other:
        await other.execute("SET lock_timeout = '1s'")
        await receipt(other, 1, datetime.now(UTC))
        assert await receipts(pool) == ["s1"]
    await making.commit()
    await connection.close()


async def test_the_daily_work_makes_room_at_once_and_shows_it(pool: Pool) -> None:
    await pool.execute(f"DROP TABLE {named(1)}, {named(2)}")
    metrics, stop = Metrics(), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(kept_months().daily(pool, metrics, stop))
        while metrics.registry.get_sample_value("kvittera_months_ahead", {"table": "receipt"}) != 2:
            await asyncio.sleep(0.01)
        stop.set()
    assert await names(pool) == [named(1), named(2), "receipt_before"]


async def test_the_doctor_tells_of_missing_room_and_of_months_past_their_time(pool: Pool, settings: Settings) -> None:
    async def look() -> tuple[str, str]:
        kept = settings.model_copy(update={"message_keep_days": keep().total_seconds() / 86400})
        [found] = [f for f in await doctor_months(kept) if f.what == "months of notifier.receipt"]
        return found.verdict, found.found

    assert await look() == ("well", "room for 2 months more")
    await months_from(pool, -3)
    assert await look() == ("look", f"past their time: {named(-3)}")
    await pool.execute(f"DROP TABLE {named(1)}")
    assert await look() == ("ill", "no room for the next month")
    await pool.execute(f"DROP TABLE {named(0)}")
    assert await look() == ("ill", "no room for this month")
