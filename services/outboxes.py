"""The doctor's look at the outboxes: whether records wait for topics that Kafka does not have."""

from typing import Final

from services.chassis.lost_topics import lost_topics
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.findings import Finding

_SERVICES: Final = ("notifier", "survey", "aggregator")


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
