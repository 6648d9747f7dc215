"""Deliveries per second from the record consumed to the outcome committed, with real gateways on this machine.

The topic is filled while the notifiers stand still; then they decide, plan, claim, call and settle until nothing
waits. Each gateway is a process of its own, and its book is the oracle: one accepted call for each delivery, none for
a replay.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from schemas.topics import DELIVERY_COMPLETED
from services.chassis.postgres import connect, named_sql
from services.embedded.kafka import EmbeddedKafka
from services.embedded.ports import free_port
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.crew import Crew, crew
from tests.benchmarks.deliveries import fill, make_deliveries
from tests.benchmarks.gateways import Gateway, gateway, read_book
from tests.benchmarks.machine import cpu_seconds, family_cpu_seconds
from tests.benchmarks.stages import NOTIFIER, as_json, forget_statements, table
from tests.benchmarks.system import prepare, running, settings_of, variables

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
    """Where the notifier runs and what it writes to.

    Attributes:
        ports: of the notifiers, the same for all rounds: by them they take each other's places in Kafka's groups.
    """

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka
    folder: Path
    connection: asyncpg.Connection
    ports: Sequence[int] = field(default_factory=lambda: [free_port() for _ in range(4)])

    @contextmanager
    def sending_to(self, kind: str, latency: float, book: Path) -> Iterator[tuple[Gateway, dict[str, str]]]:
        """A gateway, and the environment of a notifier that may call it as fast as it can."""
        with gateway(kind, latency, book) as provider:
            yield provider, self.environment(kind, provider.port)

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


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent to, and by how many notifiers; the gateway's latency in seconds."""

    kind: str
    latency: float
    notifiers: int

    @property
    def name(self) -> str:
        """Begins the ids of its deliveries."""
        return f"{self.kind}-{self.latency * 1000:.0f}-{self.notifiers}-"

    def __str__(self) -> str:
        """As the report names it."""
        by = "one notifier" if self.notifiers == 1 else f"{self.notifiers} notifiers"
        return f"{self.kind}, {self.latency * 1000:.0f} ms, {by}"


def cases(notifiers: Sequence[int]) -> list[Case]:
    """HTTP gateways that answer at once and later, and mails, by each number of notifiers."""
    gateways = (("http", 0.0), ("http", 0.02), ("http", 0.1), ("smtp", 0.0))
    return [Case(kind, latency, n) for n in notifiers for kind, latency in gateways]


async def measure_sending(bench: Bench, deliveries: int, wanted: Sequence[Case]) -> list[dict[str, object]]:
    """So many deliveries in each case."""
    print(f"sending, {deliveries:,} deliveries each from the record consumed to the outcome committed")
    return [await _case(bench, case, deliveries) for case in wanted]


async def _case(bench: Bench, case: Case, deliveries: int) -> dict[str, object]:
    begin = await bench.connection.fetchval(_READ, DELIVERY_COMPLETED)
    records = make_deliveries(case.kind, case.name, range(begin, begin + deliveries))
    book, log = bench.folder / f"{case.name}book", bench.folder / f"{case.name}log"
    with bench.sending_to(case.kind, case.latency, book) as (provider, environment):
        async with crew(bench.ports[: case.notifiers], environment, bench.connection, log) as notifiers:
            notifiers.stand_still()
            await fill(settings_of(environment), records)
            await forget_statements(bench.connection)
            before = _spent(bench, provider, notifiers)
            notifiers.go_on()
            most = await _until_done(bench, begin + deliveries, notifiers)
            per = 1e6 / deliveries
            cost = {who: (s - before[who]) * per for who, s in _spent(bench, provider, notifiers).items()}
    await _check_book(bench.connection, case.name, read_book(book), deliveries)
    rate = deliveries / await bench.connection.fetchval(_SPAN, case.name)
    print(
        f"  {case}: {rate:,.0f} deliveries/s; CPU a delivery {sum(cost.values()):.0f} us"
        f" ({', '.join(f'{who} {us:.0f}' for who, us in cost.items())}); at most {most:.0f} MiB each;"
        " one accepted call for each, by the gateway's book"
    )
    stages = {stage: notifiers.stages().get(stage, 0.0) for stage in STAGES}
    print(table("Python", cost["Python"], stages))
    await _print_statements(bench.connection, cost["PostgreSQL"])
    return {
        "case": str(case),
        "deliveries_per_second": rate,
        "cpu_us": {who: round(us, 1) for who, us in cost.items()},
        "python_stages_us": as_json(stages, cost["Python"]),
        "most_mib": most,
    }


def _spent(bench: Bench, provider: Gateway, notifiers: Crew) -> dict[str, float]:
    """Processor seconds of all that take part."""
    return {
        "Python": notifiers.cpu_seconds(),
        "PostgreSQL": family_cpu_seconds(bench.postgres.pid),
        "Kafka": family_cpu_seconds(bench.kafka.pid),
        "gateway": cpu_seconds(provider.pid),
    }


async def _until_done(bench: Bench, end: int, notifiers: Crew) -> float:
    """All is read, sent, settled, and told to Kafka. Returns the most memory of one notifier, in MiB."""
    most = 0.0
    while await _unread(bench, end) or await bench.connection.fetchval(_OPEN) or await _untold(bench):
        most = max(most, notifiers.most_mib())
        await asyncio.sleep(0.1)
    return most


async def _unread(bench: Bench, end: int) -> bool:
    """Whether deliveries are left to be read; counting the decisions would cost as much as a stage of the notifier."""
    return bool(await bench.connection.fetchval(_READ, DELIVERY_COMPLETED) < end)


async def _untold(bench: Bench) -> bool:
    return bool(await bench.connection.fetchval(named_sql("services.chassis", "outbox.sql")["measure"]))


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
    end = await bench.connection.fetchval(_READ, DELIVERY_COMPLETED) + deliveries
    records = make_deliveries("smtp", "old-", range(deliveries), datetime.now(UTC) - timedelta(days=30))
    await fill(settings_of(variables(bench.postgres, bench.kafka)), records)
    book = bench.folder / "old-book"
    began = time.perf_counter()
    with bench.sending_to("http", 0.0, book) as (_, environment):
        async with running("notifier", environment, bench.folder / "old-log", port=bench.ports[0]):
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
