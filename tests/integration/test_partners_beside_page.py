"""Over real tables: the public page and partners do not tell together what neither tells alone."""

import asyncio
import re
from datetime import UTC, datetime

import pytest

from services.aggregator.figures.months import Months, month_number
from services.aggregator.partners.partners import Partners
from services.aggregator.quality.months import ClosedMonths
from services.chassis.failures import MustStop
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.partner_views import count, publish, register, view

pytestmark = pytest.mark.service("aggregator")

OCTOBER = month_number("2026-10")
LATER = datetime(2026, 12, 20, tzinfo=UTC)
TOLD = "the public page /quality has told figures of 2026-10: less a view of "


async def close(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await Months(9).close(connection, OCTOBER, LATER)


async def held_back(pool: Pool) -> bool:
    async with pool.acquire() as connection:
        return (await ClosedMonths().rows(connection, OCTOBER)).month().beside_partner


async def test_a_view_that_could_be_taken_off_what_the_page_told_is_refused(pool: Pool) -> None:
    await count(pool, range(1000, 1200))
    await count(pool, range(2000, 2049), merchant="Vinterhamn")
    await close(pool)
    for name, merchants in (("town", None), ("fjallbod", ["Fjällbod"])):
        with pytest.raises(MustStop, match=re.escape(TOLD)):
            await register(pool, view(name, merchants))
    await register(pool, view("vinterhamn", ["Vinterhamn"]))
    assert not await held_back(pool)


async def test_the_page_holds_back_a_month_beside_a_view_of_all_or_of_nearly_all(pool: Pool) -> None:
    await count(pool, range(1000, 1200))
    await count(pool, range(2000, 2049), merchant="Vinterhamn")
    await register(pool, view())
    await close(pool)
    assert await held_back(pool)


async def test_a_view_of_all_that_was_revoked_holds_back_what_it_was_shown_and_no_other_month(
    pool: Pool, settings: Settings
) -> None:
    await register(pool, view("town", None))
    for place, merchant in enumerate(("Fjällbod", "Vinterhamn", "Norrsken")):
        await count(pool, range(1000 * place, 1000 * place + 60), merchant=merchant)
    await close(pool)
    async with pool.acquire() as connection:
        await Partners().revoke(connection, "town", LATER)
    assert not await held_back(pool)
    await pool.execute("UPDATE partner SET revoked_at = NULL")
    published = 0
    for day in range(6):  # a lot may hold some
        for place, merchant in enumerate(("Fjällbod", "Vinterhamn", "Norrsken")):
            await count(pool, range(1000 * place + 60 + 20 * day, 1000 * place + 80 + 20 * day), merchant=merchant)
        published += await publish(pool, settings, day, "town") or 0
    assert published
    async with pool.acquire() as connection:
        await Partners().revoke(connection, "town", LATER)
    assert await held_back(pool)


@pytest.mark.parametrize(("key", "held"), [("2026-10-26", True), ("2026-09-28", True), ("2026-11-02", False)])
async def test_a_week_holds_back_both_months_that_it_touches(pool: Pool, key: str, *, held: bool) -> None:
    await register(pool, view("town", None))
    await count(pool, range(1000, 1200))
    await close(pool)
    await pool.execute("UPDATE partner SET revoked_at = now()")
    kept = "INSERT INTO partner_cell (partner, key, version, as_of) VALUES ('town', $1, 1, now())"
    await pool.execute(kept, f"total||unit|week|{key}")
    assert await held_back(pool) is held


async def test_a_view_waits_for_a_month_that_is_being_closed(pool: Pool) -> None:
    await count(pool, range(1000, 1200))
    async with pool.acquire() as closing:
        async with closing.transaction(isolation="repeatable_read"):
            await Months(9).close(closing, OCTOBER, LATER)
            adding = asyncio.create_task(register(pool, view("town", None)))
            await asyncio.sleep(0.3)
            assert not adding.done()
        with pytest.raises(MustStop, match=re.escape(TOLD)):
            await adding
