"""Many requests due in the same minute under a cap, on three notifiers: does the cap hold, and what does a claim take.

Run as a program it is the notifier itself with a clock on its claims: `python -m tests.benchmarks.capped OUT notifier`.
"""

import asyncio
import atexit
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.delivery import ChannelKind, DeliveryCompleted
from services.chassis.metrics import Metrics
from services.chassis.postgres import connect, database_time
from services.chassis.sealing import Seal
from services.notifier.claim import Claims
from services.notifier.claiming import Claiming
from services.notifier.dispatch import Dispatcher
from services.notifier.handlers import DecideDeliveries
from services.notifier.policy import Rules
from tests.benchmarks.deliveries import make_deliveries
from tests.benchmarks.gateways import gateway, read_book
from tests.benchmarks.load import quantile
from tests.benchmarks.machine import resident_mib
from tests.benchmarks.sending import Bench
from tests.benchmarks.system import SEALING_KEY, running, settings_of, variables
from tests.builders import arrived

_CAP = 600
_INSTANCES = 3
_AT_ONCE = 2_000
_PERSONS = 5_000_000
"""Whom the rounds before did not ask."""
Turn = dict[str, float]
"""Seconds of a turn of the dispatcher by stage, and how many calls it began. `claim` is one transaction: from before
its first statement, which takes the locks, until its commit has returned; `judge` is a part of it."""


async def measure_capped(bench: Bench, planned: int, seconds: float) -> dict[str, object]:
    """Plan so many requests for now, watch three notifiers for so long, and read the gateway's book."""
    await _plan(bench, planned)
    book = bench.folder / "capped-book"
    claims = [bench.folder / f"capped-claims-{n}" for n in range(_INSTANCES)]
    most = 0.0
    await bench.connection.execute("UPDATE switch SET is_on = false")
    with gateway("http", 0.02, book) as provider:
        environment = bench.environment("http", provider.port, KVITTERA_SENDS_PER_MINUTE=str(_CAP))
        async with AsyncExitStack() as stack:
            processes = [
                (
                    await stack.enter_async_context(
                        running(
                            "notifier",
                            environment,
                            bench.folder / f"capped-{n}.log",
                            program=("tests.benchmarks.capped", str(claims[n])),
                        )
                    )
                )[0]
                for n in range(_INSTANCES)
            ]
            # All three at once: whoever is up first would have the first minute to itself.
            await bench.connection.execute("UPDATE switch SET is_on = true")
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                most = max(most, *(resident_mib(p.pid) for p in processes))
                await asyncio.sleep(0.5)
    moments = [at for at, _ in read_book(book)]
    references = {reference for _, reference in read_book(book)}
    fullest = _fullest_minute(moments)
    assert len(references) == len(moments), "a request was accepted twice"
    assert fullest <= _CAP, f"{fullest} calls in a minute under a cap of {_CAP}"
    assert moments, "nothing was sent"
    turns: list[Turn] = [t for file in claims for t in json.loads(file.read_text())]
    full = [t for t in turns if t["begun"]]
    p50, p99 = (quantile([t["claim"] for t in full], q) * 1000 for q in (0.5, 0.99))
    turn_p99 = quantile([t["turn"] for t in full], 0.99) * 1000
    looks_p99 = quantile([t["turn"] for t in turns if not t["begun"]], 0.99) * 1000
    worst = max(full, key=lambda t: t["claim"])
    print(
        f"capped: {planned:,} requests due at once, cap {_CAP} a minute, {_INSTANCES} notifiers, {seconds:.0f} s:"
        f" {len(moments)} sent, at most {fullest} in any minute; {len(full):,} claims with their commit,"
        f" p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst['claim'] * 1000:.1f} ms; with permits, plans and the"
        f" beginning of calls p99 {turn_p99:.1f} ms;"
        f" {len(turns) - len(full):,} looks that took nothing, p99 {looks_p99:.1f} ms; at most {most:.0f} MiB each"
    )
    for slow in sorted(full, key=lambda t: -t["turn"])[:5]:
        print("  slow turn, ms: " + ", ".join(f"{k} {v * 1000:.1f}" for k, v in slow.items() if k != "begun"))
    return {
        "planned": planned,
        "sent": len(moments),
        "fullest_minute": fullest,
        "claims": len(full),
        "claim_p99_ms": p99,
        "claim_worst_ms": worst["claim"] * 1000,
        "turn_p99_ms": turn_p99,
        "look_p99_ms": looks_p99,
        "most_mib": most,
    }


async def _plan(bench: Bench, planned: int) -> None:
    decide = DecideDeliveries.with_queries(
        rules=Rules(timedelta(hours=72), timedelta(0), frozenset(ChannelKind)),
        seal=Seal(bytes.fromhex(SEALING_KEY)),
        brand="Nordposten Demo",
        link_lifetime=timedelta(days=14),
        metrics=Metrics(),
        now=database_time,
    )
    batches = iter(range(0, planned, _AT_ONCE))

    async def lane() -> None:
        connection = await connect(settings_of(variables(bench.postgres, bench.kafka)), "notifier", command_timeout=600)
        for begin in batches:
            persons = range(_PERSONS + begin, _PERSONS + min(begin + _AT_ONCE, planned))
            records = make_deliveries("http", "capped-", persons)
            deliveries = [DeliveryCompleted.model_validate_json(r.value or b"") for r in records]
            async with connection.transaction():
                await decide(connection, [arrived(d, datetime.now(UTC)) for d in deliveries])
        await connection.close()

    await asyncio.gather(lane(), lane())  # one decides while PostgreSQL writes for the other
    # Neither the relay nor what left in the minute before is what is measured.
    await bench.connection.execute("DELETE FROM send_second")
    await bench.connection.execute("DELETE FROM outbox_waiting")
    await bench.connection.execute("VACUUM ANALYZE invitation, open_send")


def _fullest_minute(moments: list[float]) -> int:
    moments.sort()
    begin, most = 0, 0
    for end, at in enumerate(moments):
        while moments[begin] <= at - 60:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def _timed(method: Callable[..., Awaitable[Any]], name: str, into: Turn) -> Callable[..., Awaitable[Any]]:
    async def timed(*args: Any) -> Any:
        began = time.perf_counter()
        try:
            return await method(*args)
        finally:
            into[name] = time.perf_counter() - began

    return timed


def main() -> None:
    """Become the notifier, with a clock on its claims, and write when it ends what each took and how many it began."""
    from services.__main__ import main as kvittera

    into = Path(sys.argv.pop(1))
    turns: list[Turn] = []
    stages: Turn = {}
    begin = Dispatcher._begin_some

    async def turn(dispatcher: Dispatcher) -> int:
        stages.clear()
        began = time.perf_counter()
        begun = await begin(dispatcher)
        turns.append({**stages, "begun": begun, "turn": time.perf_counter() - began})
        return begun

    for owner, method in ((Claims, "permits"), (Claiming, "claim"), (Claims, "_judge"), (Claims, "give_back")):
        setattr(owner, method, _timed(getattr(owner, method), method.strip("_"), stages))
    Dispatcher._begin_some = turn  # type: ignore[method-assign,assignment]
    atexit.register(lambda: into.write_text(json.dumps(turns)))
    kvittera()


if __name__ == "__main__":
    main()
