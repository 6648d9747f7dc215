"""A process whose event loop stands still is ended, one that works is not: asked of real processes."""

import asyncio
import os
import subprocess
import sys
from typing import cast

import pytest

from services.chassis.consumer import Reader
from services.chassis.loop_watch import _Signs, _signs
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.harness import Effects, make_fence, until

PROGRAM = """
import asyncio, os, signal, threading, time
from services.chassis.loop_watch import give_sign, sign_off, watched

class Deaf:
    async def __call__(self):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

async def work():
{work}
    print("done", flush=True)

asyncio.run(watched(work(), {seconds}))
print("gone", flush=True)
"""


def run(*lines: str, seconds: float) -> subprocess.CompletedProcess[str]:
    work = "\n".join(f"    {line}" for line in lines)
    program = PROGRAM.format(work=work, seconds=seconds)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=False)


def test_a_loop_that_stands_still_ends_its_process_and_tells_where_it_stood() -> None:
    ended = run("stuck = time.sleep", "stuck(60)", seconds=0.5)
    assert (ended.returncode, ended.stdout) == (1, "")
    said, trace = ended.stderr.split("\n", 1)
    assert said == '{"event": "this process stands still", "level": "error", "action": "exit_hard"}'
    assert " in work\n" in trace


@pytest.mark.parametrize(
    "left", ["asyncio.create_task(Deaf()())", "threading.Thread(target=time.sleep, args=(60,)).start()"]
)
def test_a_process_that_has_done_its_work_and_cannot_end_is_ended(left: str) -> None:
    ended = run(left, "await asyncio.sleep(0)", seconds=0.5)
    assert ended.returncode == 1
    assert ended.stdout.startswith("done\n")


def test_who_gives_no_more_signs_ends_the_process_although_its_loop_turns() -> None:
    ended = run("give_sign('stall watch')", "await asyncio.sleep(60)", seconds=0.5)
    assert (ended.returncode, ended.stdout) == (1, "")


def test_who_goes_on_giving_signs_or_signed_off_is_left_alone() -> None:
    gives = ("give_sign('left')", "for _ in range(8):", "    give_sign('stays')", "    await asyncio.sleep(0.5)")
    ended = run(gives[0], "sign_off('left')", *gives[1:], seconds=1.5)
    assert (ended.returncode, ended.stdout) == (0, "done\ngone\n")


def test_a_loop_that_is_held_up_for_less_is_left_alone() -> None:
    ended = run("for _ in range(4):", "    time.sleep(0.5)", "    await asyncio.sleep(0.3)", seconds=2)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\ngone\n", "")


STOPPED = "os.spawnlp(os.P_NOWAIT, 'sh', 'sh', '-c', f'kill -STOP {os.getpid()}; sleep 3; kill -CONT {os.getpid()}')"


def test_a_process_that_was_stopped_by_a_signal_has_not_stood_still() -> None:
    ended = run(STOPPED, "await asyncio.sleep(1)", seconds=1)
    assert (ended.returncode, ended.stdout) == (0, "done\ngone\n")


def test_without_memory_for_its_words_the_process_ends_all_the_same() -> None:
    broken = "import services.chassis.loop_watch as w; w._WORDS = None"  # writing it fails
    ended = run(broken, "stuck = time.sleep", "stuck(60)", seconds=0.5)
    assert ended.returncode == 1


SERVICE = """
import time
from services.cli import run

async def service(settings):
    time.sleep(60)

run._LEAST_STILL = 0.5
run.run_loop(service)
"""


def test_services_are_watched_for_as_long_as_the_setting_says() -> None:
    settings = {**os.environ, "KVITTERA_STALL_SECONDS": "0.5", "KVITTERA_SEALING_KEY": "5e" * 32}
    ended = subprocess.run([sys.executable, "-c", SERVICE], capture_output=True, env=settings, timeout=50, check=False)
    assert ended.returncode == 1
    assert b"this process stands still" in ended.stderr


async def test_the_stall_watch_of_a_reader_gives_signs_until_it_ends() -> None:
    signs = _Signs()
    _signs.set(signs)
    reader = Reader(Settings(), make_fence(cast("Pool", None), "t", Effects()), ["t"])
    stop = asyncio.Event()
    watch = asyncio.create_task(reader.watch(stop))

    async def given() -> bool:
        return "g-t" in signs.last

    await until(given)
    stop.set()
    await watch
    assert signs.last == {}
