"""The doctor's look at rights: whether this account may read and write what the services read and write."""

from typing import Final

from schemas.topics import CARDS, SATISFACTION_CELLS
from services.chassis.kafka import make_client
from services.chassis.settings import Settings
from services.chassis.topic_identity import allowed_operations
from services.findings import Finding

_OURS: Final = {"notifier", "survey", "aggregator"}
_READ, _WRITE = 1 << 3, 1 << 4
"""By the numbers of Kafka's `AclOperation`."""
_NAMED: Final = 3


def _lacking(operations: dict[str, int], right: int, topics: set[str]) -> str:
    names = sorted(name for name in topics & operations.keys() if not operations[name] & right)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


async def rights(settings: Settings) -> list[Finding]:
    """This account may do what the services do with their topics."""
    client = make_client(settings)
    try:
        await client.bootstrap()
        operations = await allowed_operations(client, CARDS)
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
        for verb, right, topics in (("read", _READ, read), ("write", _WRITE, write))
        if (names := _lacking(operations, right, topics))
    ]
    return found or [Finding("Kafka rights", "well", "this account may read and write as the services do")]
