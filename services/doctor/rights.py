"""The doctor's look at what this account may do with Kafka's topics and consumer groups."""

from typing import Final

from schemas.topics import CARDS, SATISFACTION_CELLS
from services.chassis.group_rights import allowed_in_groups
from services.chassis.kafka import make_client
from services.chassis.settings import Settings
from services.chassis.topic_identity import allowed_operations
from services.doctor.findings import Finding, some_of

GROUPS: Final = frozenset(
    {
        "kvittera-notifier",
        "kvittera-notifier-state",
        "kvittera-notifier-sign-outs",
        "kvittera-survey",
        "kvittera-survey-followup",
        "kvittera-survey-erasures",
        "kvittera-aggregator",
        "kvittera-aggregator-complaints",
        "kvittera-aggregator-disruptions",
        "kvittera-aggregator-sign-outs",
    }
)
"""Every consumer group that a service reads in."""
_OURS: Final = {"notifier", "survey", "aggregator"}
_READ, _WRITE = 1 << 3, 1 << 4
"""By the numbers of Kafka's `AclOperation`."""


async def rights(settings: Settings) -> list[Finding]:
    """This account may do what the services do with their topics, and in their groups."""
    client = make_client(settings)
    try:
        await client.bootstrap()
        topics = await allowed_operations(client, CARDS)
        groups = await allowed_in_groups(client, sorted(GROUPS))
    finally:
        await client.close()
    # The aggregator compares what it published with what its topic holds.
    read = {name for name, card in CARDS.items() if _OURS & set(card.consumers)} | {SATISFACTION_CELLS}
    write = {name for name, card in CARDS.items() if _OURS & set(card.producers)}
    found = [
        Finding(
            "Kafka rights",
            "ill",
            f"this account may not {verb} {names}",
            "grant it (docs/how-to/connect-your-kafka.md), or ask as the account of the service that does",
        )
        for verb, allowed, right, needed in (
            ("read", topics, _READ, read),
            ("write", topics, _WRITE, write),
            ("read in the groups", groups, _READ, GROUPS),
        )
        if (names := some_of([n for n in needed & allowed.keys() if not allowed[n] & right]))
    ]
    return found or [Finding("Kafka rights", "well", "this account may read and write as the services do")]
