"""A process that can neither work nor end is worse than a dead one: a thread ends it.

Without memory an event loop loses what it should wake, and goes on turning without it: a feed that waits for ever is
the stall watch's business, a stall watch that waits for ever is ours, and so is a loop that does not turn at all. The
thread needs next to no memory; it counts its own looks, so whoever was stopped by a signal has not stood still.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

_LOOKS = 10
_WORDS = b'{"event": "this process stands still", "level": "error", "action": "exit_hard"}\n'


@dataclass(slots=True)
class _Signs:
    """What the loop tells the thread, and when those who promised signs gave their last."""

    turned: bool = True
    last: dict[str, float] = field(default_factory=dict)


_signs: ContextVar[_Signs | None] = ContextVar("signs", default=None)


async def watched(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Do the work of this process, which ends hard once its loop does not turn for so long.

    The same holds for whoever gave a sign and gives no more. After the work it has as long to be gone. Where it stood
    is told on the standard error.
    """
    signs = _Signs()
    _signs.set(signs)
    threading.Thread(target=_look, args=(signs, seconds / _LOOKS), name="loop watch", daemon=True).start()
    turning = asyncio.create_task(_turn(signs, seconds))
    try:
        await work
    finally:
        turning.cancel()


def give_sign(who: str) -> None:
    """Say that somebody lives, and will say so again soon; nothing where no one watches."""
    if (signs := _signs.get()) is not None:
        signs.last[who] = time.monotonic()


def sign_off(who: str) -> None:
    """Say that no more signs will come."""
    if (signs := _signs.get()) is not None:
        signs.last.pop(who, None)


async def _turn(signs: _Signs, seconds: float) -> None:
    every = seconds / _LOOKS / 2
    while True:
        now = time.monotonic()
        signs.turned = all(now - last < seconds for last in signs.last.values())
        await asyncio.sleep(every)


def _look(signs: _Signs, every: float) -> None:
    try:
        missed = 0
        while missed < _LOOKS:
            time.sleep(every)
            missed = 0 if signs.turned else missed + 1
            signs.turned = False
        os.write(sys.stderr.fileno(), _WORDS)
        faulthandler.dump_traceback()
    finally:  # also where there is no memory for this
        os._exit(1)
