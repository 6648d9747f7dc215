import asyncio
import random
import time
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.pauses import cut_short, pause_or_stop, pauses


class AlwaysTheMost(random.Random):
    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def test_the_longest_possible_pause_doubles_up_to_the_limit() -> None:
    most = pauses(first=0.05, longest=5.0, random_share=AlwaysTheMost())
    assert list(islice(most, 9)) == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@given(seed=st.integers(), first=st.floats(0.001, 1), longest=st.floats(1, 60))
def test_every_pause_lies_between_nothing_and_its_bound(seed: int, first: float, longest: float) -> None:
    bound = first
    for pause in islice(pauses(first=first, longest=longest, random_share=random.Random(seed)), 30):
        assert 0 <= pause <= bound <= longest
        bound = min(longest, bound * 2)


def test_pauses_are_spread_over_the_whole_range_so_that_processes_do_not_retry_in_step() -> None:
    tenths = {int(next(pauses(first=1.0, random_share=random.Random(seed))) * 10) for seed in range(200)}
    assert tenths == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}


async def test_a_pause_ends_at_once_when_told_to_stop() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stop.set)
    began = time.monotonic()
    assert await pause_or_stop(30, stop) is True
    assert time.monotonic() - began < 25


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_a_pause_that_nobody_ends_says_so(seconds: float) -> None:
    assert await pause_or_stop(seconds, asyncio.Event()) is False


async def test_work_may_end_by_itself_within_its_time_after_the_stop() -> None:
    stop, done = asyncio.Event(), []

    async def work() -> None:
        await stop.wait()
        await asyncio.sleep(0.01)
        done.append("ended")

    asyncio.get_running_loop().call_soon(stop.set)
    assert await cut_short(work(), stop, finish_within=30) is True
    assert done == ["ended"]


async def test_work_that_does_not_end_in_its_time_is_cancelled() -> None:
    stop, told = asyncio.Event(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    asyncio.get_running_loop().call_soon(stop.set)
    assert await cut_short(work(), stop, finish_within=0.01) is False
    assert told == ["cancelled"]


async def test_what_work_raises_is_raised() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cut_short(work(), asyncio.Event(), finish_within=30)
