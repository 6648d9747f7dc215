"""Pauses between attempts, and work that ends with a stop: exponential with full jitter, never in step."""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from typing import Any


def pauses(*, first: float = 0.05, longest: float = 5.0, random_share: random.Random | None = None) -> Iterator[float]:
    """Endless pauses in seconds: the n-th is uniform in [0, min(longest, first * 2**n)]."""
    share = random_share or random.SystemRandom()
    ceiling = first
    while True:
        yield share.uniform(0, ceiling)
        ceiling = min(longest, ceiling * 2)


async def pause_or_stop(seconds: float, stop: asyncio.Event) -> bool:
    """Wait, but not longer than until `stop` is set. Returns whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def cut_short(work: Coroutine[Any, Any, None], stop: asyncio.Event, *, finish_within: float) -> bool:
    """Run `work`, and when `stop` is set give it so many more seconds before it is cancelled.

    Returns whether it came to its own end; raises what it raises.
    """
    working = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await asyncio.wait({working}, timeout=finish_within)
        if not working.done():
            return False
        await working
        return True
    finally:
        stopped.cancel()
        working.cancel()
        await asyncio.wait({working})
