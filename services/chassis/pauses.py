"""Pauses between attempts: exponential with full jitter, so that many processes never retry in step."""

import asyncio
import random
from collections.abc import Iterator


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
