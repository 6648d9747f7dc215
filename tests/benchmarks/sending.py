"""Deliveries per second from the record consumed to the outcome committed, with real gateways on this machine.

The topic is filled first; then the notifier decides, plans, claims, calls and settles until nothing waits. Each
gateway is a process of its own, and its book is the oracle: one accepted call for each delivery, none for a replay.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.kafka import make_producer
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.gateways import gateway, read_book
from tests.benchmarks.machine import cpu_seconds, family_cpu_seconds, resident_mib
from tests.benchmarks.stages import NOTIFIER, as_json, forget_statements, shares, table
from tests.benchmarks.system import prepare, running, settings_of, variables
from tests.builders import delivery

STAGES = (*dict.fromkeys(stage for _, _, stage in NOTIFIER), "other")
_OPEN = "SELECT EXISTS (SELECT FROM open_send)"
_SPAN = """
SELECT extract(epoch FROM max(i.settled_at) - min(d.decided_at))::float8 AS seconds
FROM decision AS d JOIN invitation AS i USING (delivery_id, kind) WHERE starts_with(d.delivery_id, $1)
"""
_READ = "SELECT coalesce(sum(next), 0)::bigint FROM progress WHERE topic = $1"
_ACCEPTED = "SELECT invitation_id::text AS id FROM invitation WHERE starts_with(delivery_id, $1) AND state = 'accepted'"
_STATEMENTS = """
SELECT query, total_exec_time AS ms FROM public.pg_stat_statements ORDER BY total_exec_time DESC LIMIT 6
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the notifier runs and what it writes to."""

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka
    folder: Path
    connection: asyncpg.Connection

    @contextmanager
    def sending_to(self, kind: str, latency: float, book: Path) -> Iterator[dict[str, str]]:
        """A gateway, and the environment of a notifier that may call it as fast as it can."""
        with gateway(kind, latency, book) as port:
            yield self.environment(kind, port)

    def environment(self, kind: str, port: int, **more: str) -> dict[str, str]:
        """The settings of a notifier that sends to a gateway."""
        providers = self.folder / "providers.toml"
        secret, policies = self.folder / "secret", self.folder / "policies"
        secret.write_text("made-up")
        policies.mkdir(exist_ok=True)
        (policies / "hours.v1.toml").write_text("effective_from = 1970-01-01T00:00:00Z\n")
        providers.write_text(_HTTP.format(port=port, secret=secret) if kind == "http" else _SMTP.format(port=port))
        wanted = {
            "KVITTERA_CHANNEL": "providers",
            "KVITTERA_PROVIDERS_FILE": str(providers),
            "KVITTERA_LIVE_SENDING_UNTIL": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
            "KVITTERA_SENDS_PER_MINUTE": "100000000",
            "KVITTERA_USUAL_SENDS_PER_HOUR": "1000000000",
            "KVITTERA_SEND_CONCURRENCY": "500" if kind == "http" else "64",
            "KVITTERA_POLICIES_FOLDER": str(policies),
        }
        return variables(self.postgres, self.kafka, **(wanted | more))


_HTTP = """
[[provider]]
name = "bench"
adapter = "gateway"
url = "http://127.0.0.1:{port}/messages"
secret_file = "{secret}"
reference_header = "Idempotency-Key"
fields = {{ to = "to", text = "text", reference = "reference" }}
"""
_SMTP = """
[[provider]]
name = "bench"
adapter = "smtp"
host = "127.0.0.1"
port = {port}
security = "off"
sender = "Nordposten Demo <svar@nordposten.example>"
connections = 64
"""


async def open_bench(postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path) -> Bench:
    """Topics, tables and a connection."""
    settings = settings_of(variables(postgres, kafka))
    await prepare(settings, ("notifier",))
    return Bench(postgres, kafka, folder, await connect(settings, "notifier", command_timeout=600))


async def measure_sending(bench: Bench, deliveries: int, latencies: Sequence[float]) -> list[dict[str, object]]:
    """HTTP gateways with each of these latencies in seconds, and mails with none."""
    print(f"sending, {deliveries:,} deliveries each from the record consumed to the outcome committed")
    cases = [("http", latency) for latency in latencies] + [("smtp", 0.0)]
    startup = await _startup(bench)
    return [await _case(bench, kind, latency, deliveries, startup) for kind, latency in cases]


async def _startup(bench: Bench) -> float:
    """Processor seconds that a notifier takes to start, which no delivery is to blame for."""
    log = bench.folder / "startup-log"
    environment = bench.environment("http", 9)
    async with running("notifier", environment, log, sampled=bench.folder / "startup-stages") as (process, _):
        return cpu_seconds(process.pid)


async def _case(bench: Bench, kind: str, latency: float, deliveries: int, startup: float) -> dict[str, object]:
    name = f"{kind}-{latency * 1000:.0f}-"
    end = await bench.connection.fetchval(_READ, DELIVERY_COMPLETED) + deliveries
    await fill(settings_of(variables(bench.postgres, bench.kafka)), kind, name, deliveries)
    book, samples = bench.folder / f"{name}book", bench.folder / f"{name}stages"
    await forget_statements(bench.connection)
    database = family_cpu_seconds(bench.postgres.pid)
    with bench.sending_to(kind, latency, book) as environment:
        async with running("notifier", environment, bench.folder / f"{name}log", sampled=samples) as (process, _):
            most = 0.0
            while await _unread(bench, end) or await bench.connection.fetchval(_OPEN):
                most = max(most, resident_mib(process.pid))
                await asyncio.sleep(0.2)
            python = cpu_seconds(process.pid) - startup
    database = family_cpu_seconds(bench.postgres.pid) - database
    seconds = await bench.connection.fetchval(_SPAN, name)
    await _check_book(bench.connection, name, read_book(book), deliveries)
    per, rate = 1e6 / deliveries, deliveries / seconds
    print(
        f"  {kind}, {latency * 1000:.0f} ms: {rate:,.0f} deliveries/s; CPU a delivery"
        f" {(python + database) * per:.0f} us (Python {python * per:.0f}, PostgreSQL {database * per:.0f});"
        f" at most {most:.0f} MiB; one accepted call for each, by the gateway's book"
    )
    print(table("Python", python * per, shares(samples, STAGES)))
    await _print_statements(bench.connection, database * per)
    return {
        "gateway": kind,
        "latency_ms": latency * 1000,
        "deliveries_per_second": rate,
        "python_us": python * per,
        "postgres_us": database * per,
        "python_stages_us": as_json(shares(samples, STAGES), python * per),
        "most_mib": most,
    }


async def _unread(bench: Bench, end: int) -> bool:
    """Whether deliveries are left to be read; counting the decisions would cost as much as a stage of the notifier."""
    return bool(await bench.connection.fetchval(_READ, DELIVERY_COMPLETED) < end)


async def _check_book(
    connection: asyncpg.Connection, name: str, book: list[tuple[float, str]], deliveries: int
) -> None:
    accepted = {r["id"] for r in await connection.fetch(_ACCEPTED, name)}
    calls = Counter(reference for _, reference in book)
    assert len(accepted) == deliveries, f"{deliveries - len(accepted)} of {deliveries} deliveries were not asked about"
    assert set(calls) == accepted, "the gateway's book and the notifier's are about different messages"
    assert max(calls.values()) == 1, f"{sum(n > 1 for n in calls.values())} messages were accepted twice"


async def _print_statements(connection: asyncpg.Connection, micros: float) -> None:
    rows = await connection.fetch(_STATEMENTS)
    total = await connection.fetchval("SELECT sum(total_exec_time) FROM public.pg_stat_statements")
    parts = {" ".join(r["query"].split())[:48]: r["ms"] / total for r in rows}
    print(table("PostgreSQL", micros, parts))


async def measure_replay(bench: Bench, deliveries: int) -> dict[str, object]:
    """Deliveries of last month, read anew: nobody is called, and each has its reason."""
    settings = settings_of(variables(bench.postgres, bench.kafka))
    end = await bench.connection.fetchval(_READ, DELIVERY_COMPLETED) + deliveries
    await fill(settings, "smtp", "old-", deliveries, datetime.now(UTC) - timedelta(days=30))
    book = bench.folder / "old-book"
    began = time.perf_counter()
    with bench.sending_to("http", 0.0, book) as environment:
        async with running("notifier", environment, bench.folder / "old-log"):
            while await _unread(bench, end):
                await asyncio.sleep(0.2)
            seconds = time.perf_counter() - began
            await asyncio.sleep(2)  # whoever would still be sent to had the time
    reasons = await bench.connection.fetch(
        "SELECT coalesce(reason, outcome) AS why, count(*) AS n FROM decision"
        " WHERE starts_with(delivery_id, 'old-') GROUP BY 1 ORDER BY 2 DESC"
    )
    counts = {r["why"]: r["n"] for r in reasons}
    sends = len(read_book(book))
    assert sends == 0, f"{sends} messages left for deliveries of last month"
    print(f"replay: {deliveries:,} deliveries of last month, 0 sends, {deliveries / seconds:,.0f}/s; {counts}")
    return {"deliveries": deliveries, "sends": sends, "decisions": counts, "seconds": seconds}


async def fill(settings: Settings, kind: str, name: str, count: int, at: datetime | None = None) -> None:
    """Deliveries to as many persons, as upstream writes them."""
    producer = make_producer(settings, client="bench")
    await producer.start()
    moment = at or datetime.now(UTC)
    template = delivery((_ADDRESS[kind],), delivery_id="D-0", occurred_at=moment).model_dump_json(exclude_none=True)
    plain = json.loads(template)
    futures = []
    for n in range(count):
        plain["delivery"]["delivery_id"] = f"{name}{n}"
        address = f"+46701740{n:07d}" if kind == "http" else f"{name}{n}@mottagare.example"
        plain["pii"]["channels"][0]["address"] = address
        futures.append(await producer.send(DELIVERY_COMPLETED, json.dumps(plain).encode(), key=f"{name}{n}".encode()))
    await asyncio.gather(*futures)
    await producer.stop()


_ADDRESS = {
    "http": {"kind": "sms", "address": "+46701740605"},
    "smtp": {"kind": "email", "address": "r@mottagare.example"},
}
