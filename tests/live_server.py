"""The live page's event streams in a process of their own: `python -m tests.live_server DSN PORT`.

It reads the tables and serves streams as the aggregator does, and counts nothing. For each line on its standard input
it writes a line of JSON about itself.
"""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvloop
from pydantic import SecretStr

from services.aggregator import http
from services.aggregator.live.scopes import LiveScopes
from services.chassis.http import make_app, serve
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, open_pool
from services.chassis.settings import Settings
from tests.conftest import SEALING_KEY
from tests.members import HeaderGate


@dataclass(slots=True)
class Figures:
    """What the process did so far: looks at the tables, statements, seconds of processor time, MiB, open streams."""

    ticks: int = 0
    statements: int = 0
    cpu: float = 0.0
    memory: float = 0.0
    watchers: int = 0


class CountedConnection:
    """Counts statements on their way to PostgreSQL."""

    def __init__(self, connection: Database, figures: Figures) -> None:
        self._connection, self._figures = connection, figures

    def __getattr__(self, name: str) -> Any:
        self._figures.statements += name in {"fetch", "fetchrow", "fetchval", "execute", "executemany"}
        return getattr(self._connection, name)


class CountedPool:
    """Hands out such connections."""

    def __init__(self, pool: Pool, figures: Figures) -> None:
        self._pool, self._figures = pool, figures

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[CountedConnection]:
        async with self._pool.acquire() as connection:
            yield CountedConnection(connection, self._figures)


class CountedScopes(LiveScopes):
    """Counts its looks."""

    figures: Figures

    async def tick(self, connection: Database) -> None:
        await super().tick(connection)
        self.figures.ticks += 1


class NoCounter:
    """Nothing waits to be counted."""

    lag = 0


async def main(dsn: str, port: int) -> None:
    """Serve until the standard input ends."""
    settings = Settings(postgres_dsn=SecretStr(dsn), sealing_key=SecretStr(SEALING_KEY), allow_unsafe_postgres=True)
    pool, stop, figures = await open_pool(settings, "aggregator"), asyncio.Event(), Figures()
    counted: Any = CountedPool(pool, figures)
    nobody: Any = NoCounter()
    feeds = CountedScopes(counted, nobody, ZoneInfo("Europe/Stockholm"))
    feeds.figures = figures

    async def ready() -> str | None:
        return None

    app = make_app(http.routes(counted, feeds, stop, HeaderGate()), ready=ready, metrics=Metrics())
    async with asyncio.TaskGroup() as group:
        group.create_task(feeds.run(stop))
        group.create_task(serve(app, "127.0.0.1", port, stop))
        await tell_about(feeds, figures)
        stop.set()
    pool.terminate()


async def tell_about(feeds: CountedScopes, figures: Figures) -> None:
    """Answer each line with the figures, until there is none."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures.cpu = used.ru_utime + used.ru_stime
        # The highest ever would be that of the process that started this one.
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        figures.memory = pages * resource.getpagesize() / 2**20
        figures.watchers = sum(feed.watchers for feed in feeds._feeds.values())
        print(json.dumps(asdict(figures)), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2])))
