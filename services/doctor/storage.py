"""The doctor's look at what is stored: the key that seals it, tables, months and outboxes."""

from collections.abc import Sequence
from typing import Final

from services.chassis.failures import MustStop
from services.chassis.known_keys import wrong_keys
from services.chassis.lost_topics import lost_topics
from services.chassis.postgres import OwnConnection, check_migrated, connect
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.doctor.findings import Finding, judged
from services.notifier.retention import months as of_notifier
from services.survey.privacy.retention import months as of_survey

_SERVICES: Final = ("notifier", "survey", "aggregator")
WITH_PERSONS: Final = ("notifier", "survey")
_DEAD_SHARE: Final = 0.3
_DEAD_ROWS: Final = 100_000


async def keys(settings: Settings) -> list[Finding]:
    """The sealing key, and those before it, are well-formed."""
    Seal.of(settings)
    return [Finding("sealing key", "well", "well-formed")]


async def keys_of_tables(settings: Settings) -> list[Finding]:
    """The keys are those that the tables were written with."""
    found = [await _keys_of(settings, service) for service in WITH_PERSONS]
    return [f for f in found if f is not None]


async def _keys_of(settings: Settings, service: str) -> Finding | None:
    connection = await connect(settings, service)
    try:
        if not await connection.fetchval("SELECT to_regclass('pseudonym_key') IS NOT NULL"):
            return None  # the look at the tables says that a migration is missing
        wrong = await wrong_keys(connection, service, Seal.of(settings))
    finally:
        await connection.close()
    what = f"keys of the {service}"
    if wrong is None:
        return Finding(what, "well", "they open what its tables hold")
    found, _, do = wrong.partition(": ")
    return Finding(what, "ill", found, do)


async def tables(settings: Settings) -> list[Finding]:
    """Every schema is migrated, and no table is full of dead rows."""
    return [await _tables_of(settings, service) for service in _SERVICES]


async def _tables_of(settings: Settings, service: str) -> Finding:
    what = f"tables of the {service}"
    connection = await connect(settings, service)
    try:
        await check_migrated(connection, service, f"services.{service}")
        swollen = await _swollen(connection, service)
    except MustStop as stop:
        return Finding(what, "ill", str(stop).partition(":")[0], "run `kvittera migrate`")
    finally:
        await connection.close()
    return judged(
        what,
        f"many dead rows in {swollen}" if swollen else "migrated",
        fine=not swollen,
        otherwise="look",
        do=f"VACUUM (ANALYZE) {service}.{swollen.partition(',')[0]}, and let autovacuum run more often there"
        " (autovacuum_vacuum_scale_factor); if they stay, an old transaction or a replication slot holds them",
    )


async def _swollen(connection: OwnConnection, schema: str) -> str:
    rows = await connection.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE schemaname = $1 AND n_dead_tup > $2"
        " AND n_dead_tup > $3 * (n_live_tup + n_dead_tup) ORDER BY n_dead_tup DESC",
        schema,
        _DEAD_ROWS,
        _DEAD_SHARE,
    )
    return ", ".join(r["relname"] for r in rows)


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


async def outboxes(settings: Settings) -> list[Finding]:
    """No record waits for a topic that is not there."""
    found = []
    for service in _SERVICES:
        connection = await connect(settings, service)
        try:
            if await connection.fetchval("SELECT to_regclass('outbox_waiting') IS NULL"):
                continue  # the look at the tables tells it
            lost = await lost_topics(connection)
        finally:
            await connection.close()
        found += [
            Finding(
                f"outbox of the {service}",
                "ill",
                f"{n} records wait for {topic}, which Kafka does not have",
                "run `kvittera topics apply`; if nobody wants them any more, see docs/runbooks/KvitteraOutboxOld.md",
            )
            for topic, n in sorted(lost.items())
        ]
    return found or [Finding("outboxes", "well", "every record has its topic")]
