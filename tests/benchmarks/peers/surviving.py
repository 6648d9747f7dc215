"""Does a system keep what it promises: ended by kill -9 in the middle, begun again, and right in every cell."""

import asyncio
import os
import signal
import subprocess
import time

from services.embedded.child import end_child, spawn_child
from tests.benchmarks.peers.bench import Bench, Job
from tests.benchmarks.peers.running import until_quiet
from tests.benchmarks.peers.systems import System
from tests.benchmarks.peers.tools import CannotRunError
from tests.benchmarks.peers.topics import read_cells
from tests.benchmarks.peers.truth import Source, check

_LOOK_EVERY_S = 0.1
_LONGEST_S = 400.0


async def survive(bench: Bench, system: System, source: Source, job: Job, *, kills: int) -> list[int]:
    """Kill the system so often while it counts; returns how many records were counted for good at each kill.

    Raises:
        CannotRunError: it does not run here, ended by itself, or did not come to an end.
        WrongCountsError: something was lost or counted twice.
    """
    await system.prepare(bench, job)
    command, more = system.command(bench, job)
    log = job.folder / "log"
    killed: list[int] = []
    records = source.records
    began = time.perf_counter()

    def start() -> subprocess.Popen[bytes]:
        return spawn_child(command, log=log, env={**os.environ, **more})

    process = start()
    try:
        async with system.watch(bench, job) as counted:
            while (done := await counted()) < records:
                if done > records * (len(killed) + 1) // (kills + 2) and len(killed) < kills:
                    end_child(process, signal.SIGKILL, 10)
                    killed.append(done)
                    process = start()
                if process.poll() is not None:
                    raise CannotRunError(f"it ended by itself: {log.read_text(errors='replace')[-1_500:].strip()}")
                if time.perf_counter() - began > _LONGEST_S:
                    raise CannotRunError(f"after {_LONGEST_S:.0f} s it has counted {done:,} of {records:,} records")
                await asyncio.sleep(_LOOK_EVERY_S)
        await until_quiet(bench, system, job)
    finally:
        end_child(process, signal.SIGKILL, 10)
    _, found = await read_cells(bench.settings, system.output(job), system.reading)
    check(system.title, found, source.truth)
    return killed
