"""Counters that are there to be killed: `python -m tests.doomed_counter DSN SEED ANSWERS`.

For each line on its standard input it forks a process that counts the drawn records from where the last one got to, in
small batches. It prints the process's id, and a line before each batch. Forking skips the second that the imports take.
"""

import asyncio
import os
import sys

from pydantic import SecretStr

from services.chassis.postgres import open_pool
from services.chassis.settings import Settings
from tests.conftest import SEALING_KEY
from tests.drawn_records import begun_at, chunks, counting
from tests.tables import make_incoming


async def count(dsn: str, seed: int, answers: int) -> None:
    """Count until killed, or to the end."""
    settings = Settings(postgres_dsn=SecretStr(dsn), sealing_key=SecretStr(SEALING_KEY), allow_unsafe_postgres=True)
    pool = await open_pool(settings, "aggregator", prepare=make_incoming)
    fence = counting(pool)
    batches = chunks(seed, answers, await begun_at(pool))
    tell(f"counter {os.getpid()}")
    for batch in batches:
        tell("batch")
        await fence.take(batch)
    tell("end")
    await asyncio.Event().wait()


def tell(words: str) -> None:
    """Write a line at once, whatever happens afterwards."""
    os.write(sys.stdout.fileno(), f"{words}\n".encode())


def main() -> None:
    """Fork a counter for each line; end with the input."""
    dsn, seed, answers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            asyncio.run(count(dsn, seed, answers))
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
