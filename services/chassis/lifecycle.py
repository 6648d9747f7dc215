"""How a service process lives: start, work until told to stop, drain, exit. Progress or exit."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics

log = structlog.get_logger()

_LAGS_REMEMBERED = 120  # a minute of them: whoever reads metrics seldom still sees a loop that was held up
Task = Callable[[asyncio.Event], Awaitable[None]]
"""Something that runs until its event is set, finishes what it began, and returns."""


async def run_until_stopped(tasks: dict[str, Task], *, drain_seconds: float, metrics: Metrics) -> None:
    """Run all tasks until SIGTERM or SIGINT, then give them `drain_seconds` to finish.

    A task that fails or returns early takes the whole process down with it: half a service is worse than
    a restart. A drain that takes too long ends the process hard; every effect is safe against that.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    running: set[str] = set()
    reasons: list[str] = []

    async def guarded(name: str, task: Task) -> None:
        running.add(name)
        try:
            await _work(name, task, stop)
        except Exception as error:
            reasons.append(f"{name}: {error if isinstance(error, MustStop) else type(error).__name__}")
            raise
        finally:
            running.discard(name)
            stop.set()

    async def end_hard_when_late() -> None:
        await stop.wait()
        await asyncio.sleep(drain_seconds)
        try:
            log.error(
                "drain took too long",
                action="exit_hard",
                unfinished=sorted(running),
                because=(reasons or ["told to stop"])[0],
            )
        finally:  # also where there is no memory to say so
            os._exit(1)

    deadline = asyncio.create_task(end_hard_when_late())
    watch = asyncio.create_task(_watch_loop_lag(metrics))
    try:
        async with asyncio.TaskGroup() as group:
            for name, task in tasks.items():
                group.create_task(guarded(name, task), name=name)
    except BaseExceptionGroup as failures:
        # What stopped us explains the rest, and is said in one sentence.
        if (stops := failures.subgroup(MustStop)) is not None:
            raise _first(stops) from None
        raise
    finally:
        deadline.cancel()
        watch.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _work(name: str, task: Task, stop: asyncio.Event) -> None:
    await task(stop)
    if not stop.is_set():
        raise RuntimeError(f"{name} ended by itself")


async def _watch_loop_lag(metrics: Metrics, period: float = 0.5) -> None:
    recent = deque([0.0], maxlen=_LAGS_REMEMBERED)
    while True:
        before = time.monotonic()
        await asyncio.sleep(period)
        recent.append(max(0.0, time.monotonic() - before - period))
        metrics.set("kvittera_loop_lag_seconds", max(recent))


def _first(group: BaseExceptionGroup[MustStop]) -> MustStop:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MustStop)
    return error
