"""All looks in turn. What cannot be looked at is a finding too."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.doctor.findings import Finding
from services.doctor.kafka import kafka, rights, topics
from services.doctor.postgres import postgres
from services.doctor.storage import keys, months, outboxes, tables
from services.doctor.way_out import addresses, sending, staff

Look = Callable[[Settings], Awaitable[list[Finding]]]
_SECONDS: Final = 10.0
_ALL: Final[Sequence[Look]] = (
    keys,
    kafka,
    topics,
    rights,
    postgres,
    tables,
    months,
    outboxes,
    addresses,
    staff,
    sending,
)
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
"""What to do where a look finds nobody who answers."""


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
            found.append(Finding(name, "ill", f"cannot be looked at ({type(error).__name__})", _AWAY[name]))
    return found
