"""What a partner's moment reads: windows in which something may be released, and no others."""

import uuid

import pytest

from services.aggregator.partners.partners import rules_of
from services.aggregator.partners.windows import Windows
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from tests.partner_views import GROUP, HOME, TOTAL, count, publish, register, seen, view

pytestmark = pytest.mark.service("aggregator")

SETTLED = 45
"""Days after the first moment; the window is over by then, and two weeks more."""


@pytest.fixture(autouse=True)
def no_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.aggregator.partners.moments.is_held", lambda *_: False)


async def unread(pool: Pool, settings: Settings) -> list[str]:
    async with pool.acquire() as connection:
        sql = named_sql("services.aggregator", "partners.sql")
        found = await Windows(connection, sql, view(), rules_of(view(), [], settings)).unread()
    return [start for start, _ in found]


async def looked_at_in_vain(pool: Pool) -> int:
    async with pool.acquire() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM partner_tried"))


async def quiet(pool: Pool, settings: Settings, answers: int, lockers: int = 0) -> None:
    """A settled window whose answers are out, but for a few that wait for more."""
    await register(pool, view())
    await count(pool, range(answers))
    await count(pool, range(100, 100 + lockers), method="locker")
    await publish(pool, settings, SETTLED)
    assert await publish(pool, settings, SETTLED + 1) == 0
    assert await unread(pool, settings) == []


async def test_few_that_wait_in_a_settled_window_are_read_again_once_more_answers_come(
    pool: Pool, settings: Settings
) -> None:
    await quiet(pool, settings, 12, lockers=4)
    await count(pool, range(104, 110), method="locker")
    assert await unread(pool, settings) == ["2026-10"]
    await publish(pool, settings, SETTLED + 2)
    assert await seen(pool) == {TOTAL: 22, HOME: 12, HOME.replace("home_day", "locker"): 10}


async def test_a_window_that_is_not_over_is_always_read(pool: Pool, settings: Settings) -> None:
    await register(pool, view())
    await count(pool, range(4))
    await count(pool, range(100, 107), method="locker")
    await publish(pool, settings, 0)
    await publish(pool, settings, 1)
    assert await unread(pool, settings) == ["2026-10"]
    await publish(pool, settings, SETTLED)
    assert await seen(pool) == {TOTAL: 11, GROUP: 11}


async def test_two_answers_whose_changes_cancel_out_in_every_counter_are_read(pool: Pool, settings: Settings) -> None:
    await quiet(pool, settings, 12)
    async with pool.acquire() as connection:
        await connection.execute(
            "UPDATE answer SET score = 9 - score WHERE response_id IN ($1, $2)", *map(_who, (0, 1))
        )
    assert await unread(pool, settings) == ["2026-10"]


async def test_an_answer_of_a_settled_window_that_is_erased_takes_back_what_too_few_are_left_of(
    pool: Pool, settings: Settings
) -> None:
    await quiet(pool, settings, 10)
    async with pool.acquire() as connection:
        await connection.execute("UPDATE answer SET score = NULL WHERE response_id = $1", _who(3))
    await publish(pool, settings, SETTLED + 2)
    assert await seen(pool) == {TOTAL: None, HOME: None}


async def test_a_window_of_which_every_answer_is_of_another_now_is_taken_back(pool: Pool, settings: Settings) -> None:
    await quiet(pool, settings, 10)
    async with pool.acquire() as connection:
        await connection.execute("UPDATE answer SET local_hour = local_hour + 24 * 31")
    await publish(pool, settings, SETTLED + 2)
    assert await seen(pool) == {TOTAL: None, HOME: None}


async def test_what_a_lot_holds_back_in_a_settled_window_is_looked_at_once_more_and_then_left(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(pool, view())
    await count(pool, range(12))
    with monkeypatch.context() as patched:
        patched.setattr("services.aggregator.partners.moments.is_held", lambda *_: True)
        assert await publish(pool, settings, SETTLED) == 0
    await publish(pool, settings, SETTLED + 1)
    assert await seen(pool) == {TOTAL: 12, HOME: 12}
    # Who is shown has waited for nothing any more.
    assert await looked_at_in_vain(pool) == 0


async def test_what_two_lots_hold_back_in_a_settled_window_waits_for_enough_others(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(pool, view())
    await count(pool, range(12))
    with monkeypatch.context() as patched:
        patched.setattr("services.aggregator.partners.moments.is_held", lambda *_: True)
        for day in (SETTLED, SETTLED + 1):
            assert await publish(pool, settings, day) == 0
    assert await publish(pool, settings, SETTLED + 2) == 0
    assert await unread(pool, settings) == []
    await count(pool, range(12, 21))
    assert await publish(pool, settings, SETTLED + 3) == 0
    await count(pool, range(21, 22))
    await publish(pool, settings, SETTLED + 4)
    assert await seen(pool) == {TOTAL: 22, HOME: 22}


async def test_a_cell_that_a_lot_held_waits_for_enough_others_while_its_window_is_open(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(pool, view())
    await count(pool, range(12))
    with monkeypatch.context() as patched:
        patched.setattr("services.aggregator.partners.moments.is_held", lambda *_: True)
        await publish(pool, settings, 0)
    assert await looked_at_in_vain(pool) == 12
    await count(pool, range(12, 21))
    assert await publish(pool, settings, 1) == 0
    await count(pool, range(21, 22))
    await publish(pool, settings, 2)
    assert await seen(pool) == {TOTAL: 22, HOME: 22}


async def test_other_rules_have_every_window_read_once_more(pool: Pool, settings: Settings) -> None:
    strict = settings.model_copy(update={"partner_k": 12})
    await quiet(pool, strict, 11)
    assert await seen(pool) == {}
    await publish(pool, settings, SETTLED + 2)
    assert await seen(pool) == {TOTAL: 11, HOME: 11}


def _who(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)
