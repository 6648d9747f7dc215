"""The doctor's look at Kafka: its brokers, the topics, and what this account may do with them."""

from typing import Final

from schemas.topics import CARDS, SATISFACTION_CELLS
from services.chassis.kafka import make_admin, make_client
from services.chassis.settings import Settings
from services.chassis.topic_admin import compare_topics
from services.chassis.topic_identity import allowed_operations
from services.doctor.findings import Finding

_OURS: Final = {"notifier", "survey", "aggregator"}
_REPLICAS: Final = 3
_NAMED: Final = 3
_READ, _WRITE = 1 << 3, 1 << 4
"""By the numbers of Kafka's `AclOperation`."""


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


def _lacking(operations: dict[str, int], right: int, topics: set[str]) -> str:
    names = sorted(name for name in topics & operations.keys() if not operations[name] & right)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
