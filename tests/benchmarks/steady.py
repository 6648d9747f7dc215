"""One survey process under an open-loop load: how long answers and pages take, memory, and too much at once.

The load keeps its pace whatever comes back, so waiting shows as latency.
"""

import asyncio
import time
from pathlib import Path

import asyncpg

from services.chassis.postgres import connect
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.invitations import check_kept, forget_all, invite
from tests.benchmarks.load import Reply, closed_loop, open_loop, quantile, slow_connections
from tests.benchmarks.machine import cpu_seconds, resident_mib
from tests.benchmarks.system import prepare, running, settings_of, variables

_PAGES_PER_SECOND = 500
_QUIET_PER_SECOND = 200
_SLOW = 500
_CROWD = 256
_QUEUE = 64
_RECOVERS_WITHIN = 2.0
_BUSY = 503


async def measure_steady(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, rate: float, seconds: float, minutes: float
) -> dict[str, object]:
    """Answers at `rate`, pages at 500/s, 500 slow connections beside, memory at 200 answers/s, then too much."""
    environment = variables(postgres, kafka, KVITTERA_OUTBOX_KEEP_HOURS="1", KVITTERA_SURVEY_FOLLOW_UP="false")
    settings = settings_of(environment)
    await prepare(settings)
    connection = await connect(settings, "survey", command_timeout=300)
    print("\none process, open loop")
    async with running("survey", environment, folder / "survey.log") as (process, port):
        found: dict[str, object] = {
            "answers": await _answers(connection, port, rate, seconds, "at half the load"),
            "pages": await _pages(connection, process.pid, port, seconds),
        }
        async with slow_connections(port, _SLOW):
            beside = f"beside {_SLOW} connections that send no whole head"
            found["beside_slow"] = await _answers(connection, port, _QUIET_PER_SECOND, seconds, beside)
        found["memory"] = await _memory(connection, process.pid, port, minutes)
    crowded = {**environment, "KVITTERA_SURVEY_QUEUE": str(_QUEUE)}
    async with running("survey", crowded, folder / "survey.log") as (_, port):
        found["overload"] = await _overload(connection, port, seconds)
    await connection.close()
    return found


async def _answers(
    connection: asyncpg.Connection, port: int, rate: float, seconds: float, what: str
) -> dict[str, float]:
    invited = await invite(connection, int(rate * seconds))
    replies = await open_loop(port, invited.taps(), rate)
    kept = await check_kept(connection, invited, replies)
    assert kept == len(replies), "some were turned away"
    await forget_all(connection)
    found = _times([r.seconds for r in replies]) | _own_delay(replies)
    print(f"  {rate:,.0f} answers/s {what}: {_words(found)}")
    return {"rate": rate, **found}


async def _pages(connection: asyncpg.Connection, pid: int, port: int, seconds: float) -> dict[str, float]:
    invited = await invite(connection, int(_PAGES_PER_SECOND * seconds))
    before = cpu_seconds(pid)
    replies = await open_loop(port, invited.looks(), _PAGES_PER_SECOND)
    cost = (cpu_seconds(pid) - before) / len(replies) * 1e6
    assert all(r.status == 200 for r in replies)
    await forget_all(connection)
    found = _times([r.first_byte for r in replies]) | _own_delay(replies)
    print(f"  {_PAGES_PER_SECOND} pages/s, time to first byte: {_words(found)}; server {cost:.0f} us CPU a page")
    return {**found, "server_us": cost}


async def _memory(connection: asyncpg.Connection, pid: int, port: int, minutes: float) -> dict[str, float]:
    """Growth over the second half; the first fills caches."""
    seen = []
    for _ in range(2):
        invited = await invite(connection, int(_QUIET_PER_SECOND * minutes * 30))
        await check_kept(connection, invited, await open_loop(port, invited.taps(), _QUIET_PER_SECOND))
        seen.append(resident_mib(pid))
        await forget_all(connection)
    growth = (seen[1] - seen[0]) / (minutes / 2)
    print(f"  {_QUIET_PER_SECOND} answers/s for {minutes:g} min: {seen[1]:.0f} MiB, {growth:+.2f} MiB/min at the end")
    return {"mib": seen[1], "mib_per_minute": growth}


async def _overload(connection: asyncpg.Connection, port: int, seconds: float) -> dict[str, float]:
    """More clients than the queue holds; then one more answer as soon as they have gone."""
    invited = await invite(connection, int(15_000 * seconds) + 1000)
    taps = invited.taps()
    replies = await closed_loop(port, taps[:-1000], _CROWD, seconds)
    ended = time.perf_counter()
    last = len(taps) - 1
    while (await _one(port, taps[last])).status != 200:
        last -= 1
        await asyncio.sleep(0.01)
    recovered = time.perf_counter() - ended
    kept = await check_kept(connection, invited, replies)
    refused = [r for r in replies if r.status == _BUSY]
    assert kept + len(refused) == len(replies)
    assert all(r.told_when for r in refused), "a refusal came without Retry-After"
    assert recovered < _RECOVERS_WITHIN, f"it took {recovered:.1f} s to recover"
    await forget_all(connection)
    print(
        f"  {_CROWD} clients on a queue of {_QUEUE}: {kept:,} kept, {len(refused):,} told to come back, none lost;"
        f" works again after {recovered * 1000:.0f} ms"
    )
    return {"kept": kept, "refused": len(refused), "recovered_s": recovered}


async def _one(port: int, request: bytes) -> Reply:
    [reply] = await open_loop(port, [request], 1000, connections=1)
    return reply


def _times(seconds: list[float]) -> dict[str, float]:
    return {f"p{q}_ms": quantile(seconds, q / 100) * 1000 for q in (50, 99)} | {"max_ms": max(seconds) * 1000}


def _own_delay(replies: list[Reply]) -> dict[str, float]:
    """How late this process itself was to send: whoever shares its cores makes it so, not the server."""
    return {f"own_delay_p{q}_ms": quantile((r.own_delay for r in replies), q / 100) * 1000 for q in (50, 99)}


def _words(found: dict[str, float]) -> str:
    return (
        f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, worst {found['max_ms']:.0f} ms;"
        f" sent {found['own_delay_p50_ms']:.1f} ms late by the load itself, p99 {found['own_delay_p99_ms']:.1f} ms"
    )
