"""Who waits for PostgreSQL waits for seconds, also where what he waits for cannot be cut short."""

import asyncio
import time

import pytest

from services.chassis.bounded_waiting import ANSWERED_WITHIN, within

_SCRIPT_GIVES_UP = 10.0


async def cannot_be_cut_short(until: asyncio.Event) -> str:
    """As asyncpg, which waits for a server that is cut off to confirm that it cancelled."""
    while not until.is_set():
        try:
            await until.wait()
        except asyncio.CancelledError:
            continue
    return "late"


async def test_who_waits_is_told_in_time_although_the_work_cannot_be_cut_short() -> None:
    over = asyncio.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await within(0.05, cannot_be_cut_short(over))
    assert time.monotonic() - began < 5
    over.set()


async def test_work_that_is_done_in_time_gives_its_result_or_its_own_failure() -> None:
    async def fail() -> None:
        raise ValueError("its own")

    assert await within(5, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="its own"):
        await within(5, fail())


def test_a_page_tries_twice_before_its_script_gives_up() -> None:
    assert 2 * ANSWERED_WITHIN < _SCRIPT_GIVES_UP - 1
