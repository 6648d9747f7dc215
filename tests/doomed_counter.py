"""Counters that are there to be killed: `python -m tests.doomed_counter DSN SEED ANSWERS`.

For each line on its standard input it forks a process that counts the drawn records from where the last one got to, in
small batches; after a line `starve N B` that process has N bytes of memory left from its batch number B on, and is
watched as a service is. It prints the process's id, a line before each batch, and how it ended. Forking skips the
second that the imports take.
"""

import asyncio
import logging
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import SecretStr

from services.chassis.loop_watch import give_sign, sign_off, watched
from services.chassis.postgres import open_pool
from services.chassis.settings import Settings
from tests.conftest import SEALING_KEY
from tests.drawn_records import begun_at, chunks, counting
from tests.tables import make_incoming

_PIECE, _MOST = 4096, 1 << 23
_STILL = 2.0


@dataclass(frozen=True, slots=True)
class Starved:
    """So many bytes are left from a batch on."""

    memory: int
    at_batch: int


async def count(dsn: str, seed: int, answers: int, starved: Starved | None) -> None:
    """Count until killed, out of memory, or to the end."""
    settings = Settings(postgres_dsn=SecretStr(dsn), sealing_key=SecretStr(SEALING_KEY), allow_unsafe_postgres=True)
    pool = await open_pool(settings, "aggregator", prepare=make_incoming)
    fence = counting(pool)
    batches = chunks(seed, answers, await begun_at(pool))
    tell(f"counter {os.getpid()}")
    ballast = []
    for number, batch in enumerate(batches):
        tell("batch")
        give_sign("counting")
        if starved is not None and number == starved.at_batch:
            ballast = leave_only(starved.memory)
        await fence.take(batch)
    ballast.clear()
    sign_off("counting")
    tell("end")
    await asyncio.Event().wait()


def tell(words: str) -> None:
    """Write a line at once, whatever happens afterwards."""
    os.write(sys.stdout.fileno(), f"{words}\n".encode())


def main() -> None:
    """Fork a counter for each line; end with the input."""
    dsn, seed, answers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # What is told of broken records would stand between the lines.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            starved = Starved(*map(int, line.split()[1:])) if line.startswith("starve ") else None
            work = count(dsn, seed, answers, starved)
            asyncio.run(watched(work, _STILL) if starved else work)
        tell(f"forked {child}")
        tell(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


def leave_only(free: int) -> list[bytes]:
    """Let this process take little more memory, and fill it but for so many bytes; returns what fills it."""
    own = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + _MOST, own + _MOST))
    ballast, released = [b""], range(free // _PIECE)
    try:
        while True:
            ballast.append(bytes(_PIECE))
    except MemoryError:
        for _ in released:
            ballast.pop()
    return ballast


if __name__ == "__main__":
    main()
