"""The doctor's look at PostgreSQL: its version, what it promises, how it keeps house, and its clock."""

import time
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from services.chassis.failures import MustStop
from services.chassis.postgres import OwnConnection, check_durability, connect
from services.chassis.settings import Settings
from services.chassis.staff.origins import is_loopback
from services.doctor.findings import Finding, judged

_OLDEST: Final = 18
_SKEW_SECONDS: Final = 2.0
_OLD_IDS: Final = 1_000_000_000
"""Half of what there is: at two thousand millions PostgreSQL takes no more writes."""


class _Server(NamedTuple):
    """What PostgreSQL says of itself; `skew` is how far its clock is from ours, in seconds."""

    major: int
    skew: float
    connections: int
    encrypted: bool
    durable: Finding
    standbys: str
    waits: str
    vacuums: bool
    id_age: int
    archive: list[Finding]


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
            fine=server.major >= _OLDEST,
            otherwise="ill",
            do="upgrade to PostgreSQL 18: our statements need it",
        ),
        server.durable,
        *_copies_and_vacuum(server),
        *server.archive,
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


def _copies_and_vacuum(server: _Server) -> list[Finding]:
    # A commit that waits for no standby is on one machine only, however many there are.
    copied = bool(server.standbys) and server.waits != "local"
    return [
        judged(
            "PostgreSQL copies",
            "a commit waits for a standby" if copied else "a commit waits for no standby",
            fine=copied,
            otherwise="look",
            do="set synchronous_standby_names and synchronous_commit=on if answers must survive the loss of a machine;"
            " where the storage itself keeps copies there is nothing to do",
        ),
        judged(
            "PostgreSQL vacuum",
            f"autovacuum {'on' if server.vacuums else 'off'}, oldest transaction {server.id_age:,} ids ago",
            fine=server.vacuums and server.id_age < _OLD_IDS,
            otherwise="ill",
            do="turn autovacuum on, and end what holds it back: old transactions in pg_stat_activity and"
            " pg_prepared_xacts, slots in pg_replication_slots; PostgreSQL stops writing when its ids run out",
        ),
    ]


def archive_findings(mode: str, kept: datetime | None, failed: datetime | None) -> list[Finding]:
    """Whether the latest try to archive the log, if it is archived, succeeded; moments are those of such tries."""
    if mode == "off":
        return []
    well = failed is None or (kept is not None and kept > failed)
    until = "nothing was ever archived" if kept is None else f"nothing was archived since {kept:%Y-%m-%d %H:%M} UTC"
    return [
        judged(
            "PostgreSQL archive",
            "the log is archived" if well else f"archive_command fails, {until}",
            fine=well,
            otherwise="ill",
            do="PostgreSQL's log says why; a loss now takes all that came since, and the disk fills with what waits",
        )
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
            standbys=await connection.fetchval("SHOW synchronous_standby_names"),
            waits=await connection.fetchval("SHOW synchronous_commit"),
            vacuums=await connection.fetchval("SHOW autovacuum") == "on",
            id_age=await connection.fetchval(
                "SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()"
            ),
            archive=archive_findings(
                await connection.fetchval("SHOW archive_mode"),
                await connection.fetchval("SELECT last_archived_time FROM pg_stat_archiver"),
                await connection.fetchval("SELECT last_failed_time FROM pg_stat_archiver"),
            ),
        )
    finally:
        await connection.close()


async def _durability(connection: OwnConnection) -> Finding:
    try:
        await check_durability(connection)
    except MustStop as stop:
        return Finding("PostgreSQL durability", "ill", str(stop).partition(";")[0], "set it to on")
    return Finding("PostgreSQL durability", "well", "acknowledged rows survive a crash")
