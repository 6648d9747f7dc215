"""Waiting for something to become true in a running system."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(
    holds: Callable[[], Awaitable[bool]],
    what: str,
    *,
    seconds: float = 100,
    tell: Callable[[], Awaitable[str]] | None = None,
) -> float:
    """Wait for something to become true; returns how long it took."""
    began = time.monotonic()
    while not await holds():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"waited {seconds} s for {what}" + (f": {await tell()}" if tell else ""))
        await asyncio.sleep(0.1)
    return time.monotonic() - began
