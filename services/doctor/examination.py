"""All looks in turn. What cannot be looked at is a finding too."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from services.chassis.failures import MustStop
from services.chassis.postgres import fault
from services.chassis.settings import Settings
from services.doctor.cuts import cuts
from services.doctor.findings import Finding
from services.doctor.gateways import gateways, outcome_texts, traces
from services.doctor.kafka import kafka
from services.doctor.postgres import postgres
from services.doctor.rights import rights
from services.doctor.storage import keys, keys_of_tables, months, outboxes, tables
from services.doctor.topics import partitions, topics
from services.doctor.way_out import addresses, reminders, sending, staff
from services.doctor.written import written

Look = Callable[[Settings], Awaitable[list[Finding]]]
_SECONDS: Final = 10.0
_ALL: Final[Sequence[Look]] = (
    keys,
    written,
    kafka,
    topics,
    partitions,
    rights,
    postgres,
    tables,
    keys_of_tables,
    cuts,
    months,
    outboxes,
    addresses,
    staff,
    sending,
    reminders,
    gateways,
    outcome_texts,
    traces,
)
_AWAY: Final = {
    "kafka": "check KVITTERA_KAFKA_BOOTSTRAP and that the brokers run",
    "topics": "bring Kafka up first",
    "partitions": "bring Kafka up first",
    "rights": "bring Kafka up first",
    "postgres": "check KVITTERA_POSTGRES_DSN and that the server runs",
    "tables": "bring PostgreSQL up first",
    "keys_of_tables": "bring PostgreSQL up first",
    "cuts": "bring PostgreSQL up first",
    "months": "bring PostgreSQL up first",
    "outboxes": "bring PostgreSQL up first",
    "addresses": "check this machine's DNS",
}
"""What to do where a look finds nobody who answers."""
_REFUSED: Final = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    asyncpg.InsufficientPrivilegeError,
)


async def examine(settings: Settings, looks: Sequence[Look] = _ALL) -> list[Finding]:
    """Look at everything, each for ten seconds at most; what cannot be looked at is a finding too."""
    found: list[Finding] = []
    for look in looks:
        name = look.__name__
        try:
            async with asyncio.timeout(_SECONDS):
                found += await look(settings)
        except MustStop as stop:
            found.append(Finding(name, "ill", str(stop), "do as it says"))
        except (OSError, TimeoutError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            found.append(Finding(name, "ill", f"cannot be looked at ({fault(error)})", _what_to_do(name, error)))
    return found


def _what_to_do(look: str, error: Exception) -> str:
    if isinstance(error, _REFUSED):
        return "let this account look, or ask as another: docs/how-to/connect-your-kafka.md names the rights for Kafka"
    return _AWAY.get(look, "try again; if it stays so, look whether this machine reaches the server")
