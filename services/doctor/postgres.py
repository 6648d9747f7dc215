"""The doctor's look at PostgreSQL: its version, what it promises, who may listen, and its clock."""

import time
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from services.chassis.failures import MustStop
from services.chassis.postgres import OwnConnection, check_durability, connect
from services.chassis.settings import Settings
from services.chassis.staff.origins import is_loopback
from services.doctor.findings import Finding, judged

_OLDEST: Final = 18
_SKEW_SECONDS: Final = 2.0


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
            fine=server.major >= _OLDEST,
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
