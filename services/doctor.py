"""The doctor: looks at settings, Kafka, PostgreSQL, clocks and addresses, and says what to do about each fault."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import asyncpg
from aiokafka.errors import KafkaError

from schemas.topics import CARDS
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin
from services.chassis.postgres import OwnConnection, check_durability, check_migrated, connect
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff.origins import is_loopback
from services.chassis.topic_admin import compare_topics
from services.findings import Finding, judged
from services.notifier.retention import months as of_notifier
from services.outboxes import outboxes
from services.survey.privacy.retention import months as of_survey
from services.topic_rights import rights
from services.way_out import addresses, sending

SERVICES: Final = ("notifier", "survey", "aggregator")
_SECONDS: Final = 10.0
_OLDEST_POSTGRES: Final = 18
_SKEW_SECONDS: Final = 2.0
_DEAD_SHARE: Final = 0.3
_DEAD_ROWS: Final = 100_000
_REPLICAS: Final = 3
_NAMED: Final = 3


Look = Callable[[Settings], Awaitable[list[Finding]]]


async def examine(settings: Settings, looks: Sequence[Look] | None = None) -> list[Finding]:
    """Look at everything, each for ten seconds at most; what cannot be looked at is a finding too."""
    found: list[Finding] = []
    for look in looks or (keys, kafka, topics, rights, postgres, tables, months, outboxes, addresses, sending):
        name = look.__name__.replace("_", " ")
        try:
            async with asyncio.timeout(_SECONDS):
                found += await look(settings)
        except MustStop as stop:
            found.append(Finding(name, "ill", str(stop), "do as it says"))
        except (OSError, TimeoutError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            found.append(Finding(name, "ill", f"cannot be looked at ({type(error).__name__})", _AWAY[name]))
    return found


_AWAY: Final = {
    "kafka": "check KVITTERA_KAFKA_BOOTSTRAP and that the brokers run",
    "topics": "bring Kafka up first",
    "rights": "bring Kafka up first",
    "postgres": "check KVITTERA_POSTGRES_DSN and that the server runs",
    "tables": "bring PostgreSQL up first",
    "months": "bring PostgreSQL up first",
    "outboxes": "bring PostgreSQL up first",
    "addresses": "check this machine's DNS",
    "sending": "check KVITTERA_SMTP_HOST and the way there",
}


async def keys(settings: Settings) -> list[Finding]:
    """The sealing key opens what is kept of persons."""
    Seal.from_setting(settings.sealing_key, settings.sealing_keys_before)
    return [Finding("sealing key", "well", "well-formed", "")]


async def kafka(settings: Settings) -> list[Finding]:
    """The brokers answer, and there are enough of them."""
    admin = make_admin(settings)
    try:
        await admin.start()
        brokers = len((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()
    answer = [Finding("Kafka", "well", f"{brokers} broker{' answers' if brokers == 1 else 's answer'}")]
    if settings.kafka_security == "plaintext":
        answer.append(
            Finding("Kafka access", "look", "neither encrypted nor with log-in", "set KVITTERA_KAFKA_SECURITY=sasl_ssl")
        )
    if brokers < _REPLICAS or settings.kafka_replication < _REPLICAS:
        answer.append(
            Finding(
                "Kafka copies",
                "look",
                f"{brokers} broker{'s' * (brokers != 1)}, KVITTERA_KAFKA_REPLICATION={settings.kafka_replication}",
                "in production run 3 brokers with replication 3 and min.insync.replicas=2: one may then be lost",
            )
        )
    return answer


async def topics(settings: Settings) -> list[Finding]:
    """Every topic is as its card says."""
    wrong = await compare_topics(settings, tuple(CARDS.values()))
    if not wrong:
        return [Finding("topics", "well", f"all {len(CARDS)} are as their cards say")]
    missing = [d.topic for d in wrong if d.found == "missing"]
    lacking = (
        f"{len(missing)} of {len(CARDS)} are missing: {', '.join(missing[:_NAMED])}{', …' * (len(missing) > _NAMED)}"
    )
    return [
        *([Finding("topics", "ill", lacking, "run `kvittera topics apply`")] if missing else []),
        *(
            Finding(
                f"topic {d.topic}",
                "ill",
                f"{d.what} should be {d.expected}, is {d.found}",
                "change it with your Kafka tools",
            )
            for d in wrong
            if d.found != "missing"
        ),
    ]


class _Server(NamedTuple):
    """What PostgreSQL says of itself; `skew` is how far its clock is from ours, in seconds."""

    major: int
    skew: float
    connections: int
    encrypted: bool
    durable: Finding


async def postgres(settings: Settings) -> list[Finding]:
    """PostgreSQL is new enough, keeps what it says it keeps, and its clock agrees with ours."""
    server = await _server(settings)
    # A container whose port is published on loopback sees itself at another address, so ours counts.
    safe = server.encrypted or is_loopback(urlsplit(settings.postgres_dsn.get_secret_value()).hostname or "")
    needed = 3 * (settings.postgres_connections + 4)
    return [
        judged(
            "PostgreSQL",
            f"version {server.major}",
            fine=server.major >= _OLDEST_POSTGRES,
            otherwise="ill",
            do="upgrade to PostgreSQL 18: our statements need it",
        ),
        server.durable,
        judged(
            "PostgreSQL access",
            "encrypted, or on this machine" if safe else "not encrypted",
            fine=safe,
            otherwise="look",
            do="end KVITTERA_POSTGRES_DSN with ?sslmode=verify-full&sslrootcert=ca.pem",
        ),
        judged(
            "PostgreSQL connections",
            f"{server.connections} allowed; one process of each service takes up to {needed}",
            fine=server.connections >= needed,
            otherwise="look",
            do="raise max_connections or lower KVITTERA_POSTGRES_CONNECTIONS",
        ),
        judged(
            "clocks",
            f"{server.skew:.1f} s between this machine and PostgreSQL",
            fine=server.skew < _SKEW_SECONDS,
            otherwise="ill",
            do="let both follow a time server: ages and deadlines are wrong otherwise",
        ),
    ]


async def _server(settings: Settings) -> _Server:
    connection = await connect(settings, "public")
    try:
        before = time.time()
        theirs = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
        skew = abs(theirs - (before + time.time()) / 2)
        return _Server(
            major=int(await connection.fetchval("SHOW server_version_num")) // 10_000,
            skew=skew,
            connections=int(await connection.fetchval("SHOW max_connections")),
            encrypted=await connection.fetchval(
                "SELECT ssl OR inet_server_addr() IS NULL FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            ),
            durable=await _durability(connection),
        )
    finally:
        await connection.close()


async def _durability(connection: OwnConnection) -> Finding:
    try:
        await check_durability(connection)
    except MustStop as stop:
        return Finding("PostgreSQL durability", "ill", str(stop).partition(";")[0], "set it to on")
    return Finding("PostgreSQL durability", "well", "acknowledged rows survive a crash")


async def tables(settings: Settings) -> list[Finding]:
    """Every schema is migrated, and no table is full of dead rows."""
    found = []
    for service in SERVICES:
        connection = await connect(settings, service)
        try:
            await check_migrated(connection, service, f"services.{service}")
            swollen = await _swollen(connection, service)
        except MustStop as stop:
            found.append(
                Finding(f"tables of the {service}", "ill", str(stop).partition(":")[0], "run `kvittera migrate`")
            )
        else:
            found.append(
                Finding(
                    f"tables of the {service}", "look", f"many dead rows in {swollen}", "let autovacuum run more often"
                )
                if swollen
                else Finding(f"tables of the {service}", "well", "migrated")
            )
        finally:
            await connection.close()
    return found


async def months(settings: Settings) -> list[Finding]:
    """Every table that is kept by months has room for this month and the next ones, and lets go of the old ones."""
    found = []
    for service, kept in (("notifier", of_notifier(settings)), ("survey", of_survey(settings))):
        connection = await connect(settings, service)
        try:
            if await connection.fetchval("SELECT to_regclass('migration') IS NULL"):
                continue  # without tables there are no months; the look at the tables tells it
            room, due = await kept.room(connection), await kept.due(connection)
        finally:
            await connection.close()
        for table, ahead in room.items():
            found.append(_month_finding(f"months of {service}.{table}", ahead, due[table]))
    return found


def _month_finding(what: str, ahead: int, due: Sequence[str]) -> Finding:
    if ahead < 1:
        found = "no room for this month" if ahead < 0 else "no room for the next month"
        return Finding(
            what, "ill", found, "start the service or run `kvittera retention run`; look at its log if it runs"
        )
    if due:
        return Finding(what, "look", f"past their time: {', '.join(due)}", "run `kvittera retention run`")
    return Finding(what, "well", f"room for {ahead} month{'s' * (ahead != 1)} more")


async def _swollen(connection: OwnConnection, schema: str) -> str:
    rows = await connection.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE schemaname = $1 AND n_dead_tup > $2"
        " AND n_dead_tup > $3 * (n_live_tup + n_dead_tup) ORDER BY n_dead_tup DESC",
        schema,
        _DEAD_ROWS,
        _DEAD_SHARE,
    )
    return ", ".join(r["relname"] for r in rows)
