"""Half a service is worse than a restart: one task down takes the process down; SIGTERM lets all finish."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from services.chassis.failures import MustStop
from services.chassis.lifecycle import run_until_stopped
from services.chassis.metrics import Metrics


async def until_stopped(stop: asyncio.Event) -> None:
    await stop.wait()


async def test_a_task_that_ends_by_itself_takes_the_process_down() -> None:
    async def ends(_: asyncio.Event) -> None:
        await asyncio.sleep(0)

    with pytest.raises(ExceptionGroup) as failed:
        await run_until_stopped({"reader": ends, "other": until_stopped}, drain_seconds=5, metrics=Metrics())
    assert [str(e) for e in failed.value.exceptions] == ["reader ended by itself"]


async def test_a_task_that_fails_takes_the_process_down() -> None:
    async def fails(_: asyncio.Event) -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(ExceptionGroup) as failed:
        await run_until_stopped({"other": until_stopped, "reader": fails}, drain_seconds=5, metrics=Metrics())
    assert [type(e) for e in failed.value.exceptions] == [ZeroDivisionError]


async def test_must_stop_comes_out_as_itself_so_that_the_command_can_say_it_in_one_sentence() -> None:
    async def stops(_: asyncio.Event) -> None:
        raise MustStop("the topic was made again")

    with pytest.raises(MustStop, match="the topic was made again") as stopped:
        await run_until_stopped({"watch": stops, "other": until_stopped}, drain_seconds=5, metrics=Metrics())
    assert stopped.value.__cause__ is None


async def test_must_stop_wins_over_what_it_made_fail() -> None:
    async def stops(_: asyncio.Event) -> None:
        raise MustStop("first")

    async def fails_at_stop(stop: asyncio.Event) -> None:
        try:
            await stop.wait()
        except asyncio.CancelledError:
            raise OSError("connection lost") from None
        raise OSError("connection lost")

    with pytest.raises(MustStop, match="first"):
        await run_until_stopped({"watch": stops, "other": fails_at_stop}, drain_seconds=5, metrics=Metrics())


async def test_sigterm_lets_every_task_finish_what_it_began() -> None:
    done: list[str] = []

    async def finishes(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.05)
        done.append("finished")

    asyncio.get_running_loop().call_later(0.02, os.kill, os.getpid(), signal.SIGTERM)
    await run_until_stopped({"a": finishes, "b": finishes}, drain_seconds=5, metrics=Metrics())
    assert done == ["finished", "finished"]


async def test_signals_are_given_back_afterwards() -> None:
    asyncio.get_running_loop().call_later(0.02, os.kill, os.getpid(), signal.SIGTERM)
    await run_until_stopped({"a": until_stopped}, drain_seconds=5, metrics=Metrics())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_a_blocked_loop_is_measured() -> None:
    metrics = Metrics()

    async def blocks(stop: asyncio.Event) -> None:
        await asyncio.sleep(0.05)
        time.sleep(0.8)
        await asyncio.sleep(0.7)  # quiet again: whoever reads metrics every 15 s must still see it
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()

    await run_until_stopped({"blocks": blocks}, drain_seconds=5, metrics=metrics)
    lag = metrics.registry.get_sample_value("kvittera_loop_lag_seconds")
    assert lag is not None
    assert 0.2 < lag < 30


STUCK = """
import asyncio
from services.chassis.lifecycle import run_until_stopped
from services.chassis.metrics import Metrics

async def stuck(stop):
    print("up", flush=True)
    await asyncio.sleep(3600)

asyncio.run(run_until_stopped({"stuck": stuck}, drain_seconds=0.3, metrics=Metrics()))
"""


def test_a_drain_that_takes_too_long_ends_the_process_hard() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        began = time.monotonic()
        process.terminate()
        said, _ = process.communicate(timeout=90)
        assert process.returncode == 1
        assert 0.25 < time.monotonic() - began < 60
        assert b"drain took too long" in said


def test_a_drain_that_takes_too_long_ends_the_process_also_where_it_can_say_nothing() -> None:
    speechless = STUCK.replace("async def", "from services.chassis import lifecycle\nlifecycle.log = None\nasync def")
    with subprocess.Popen(
        [sys.executable, "-c", speechless], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 1


STUCK_AFTER_A_FAULT = """
import asyncio
from services.chassis.failures import MustStop
from services.chassis.lifecycle import run_until_stopped
from services.chassis.metrics import Metrics

async def stuck(stop):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def watch(stop):
    raise MustStop("12 records wait and nothing moves")

asyncio.run(run_until_stopped({"stuck": stuck, "watch": watch}, drain_seconds=0.3, metrics=Metrics()))
"""


def test_a_process_that_ends_hard_still_says_what_stopped_it() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK_AFTER_A_FAULT], capture_output=True, timeout=90, check=False)
    assert ended.returncode == 1
    assert b"watch: 12 records wait and nothing moves" in ended.stdout
