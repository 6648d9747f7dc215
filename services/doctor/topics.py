"""The doctor's look at the topics: whether they are as their cards say, and every partition has its copies."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.topics import CARDS, TopicCard
from services.chassis.kafka import make_admin
from services.chassis.settings import Settings
from services.chassis.topic_admin import Difference, compare_topics
from services.chassis.topic_copies import ENOUGH
from services.doctor.findings import Finding, some_of

_ALL: Final = tuple(CARDS.values())
_GROUPS: Final = "__consumer_offsets"
_MORE_COPIES: Final = (
    "give it more with kafka-reassign-partitions.sh: while its only broker is away, nobody reads in the groups that it"
    " keeps"
)


async def topics(settings: Settings, cards: Sequence[TopicCard] = _ALL) -> list[Finding]:
    """Every topic is as its card says, and loses nothing that it acknowledged.

    Raises:
        MustStop: this account is not told how the topics are configured.
    """
    wrong = await compare_topics(settings, cards)
    if not wrong:
        return [Finding("topics", "well", f"all {len(cards)} are as their cards say")]
    missing = [d.topic for d in wrong if d.found == "missing"]
    lacking = f"{len(missing)} of {len(cards)} are missing: {some_of(missing)}"
    alike: dict[tuple[str, str, str], list[str]] = {}
    for d in wrong:
        if d.found != "missing":
            alike.setdefault((d.what, d.expected, d.found), []).append(d.topic)
    return [
        *([Finding("topics", "ill", lacking, "run `kvittera topics apply`")] if missing else []),
        *(_differing(names, Difference(names[0], *of), settings.kafka_bootstrap) for of, names in alike.items()),
    ]


def _differing(names: Sequence[str], first: Difference, bootstrap: str) -> Finding:
    """One finding for all topics that differ from their cards in the same way."""
    only_one = len(names) == 1
    return Finding(
        f"topic {names[0]}" if only_one else f"{len(names)} topics",
        "ill",
        f"{first.what} should be {first.expected}, is {first.found}" + ("" if only_one else f": {some_of(names)}"),
        _what_to_do(first, names[0] if only_one else "TOPIC", bootstrap),
    )


def _what_to_do(difference: Difference, topic: str, bootstrap: str) -> str:
    now = f"KVITTERA_KAFKA_PARTITIONS={difference.found}"
    match difference.what:
        case "partitions" if int(difference.found) < int(difference.expected):
            return f"raise them as docs/how-to/raise-partitions.md says, or set {now}"
        case "partitions" if difference.expected != "1":
            return f"set {now}: partitions cannot be taken away"
        case "partitions":
            return "its order needs one: make the topic anew while nobody writes or reads it"
        case "replicas":
            return "give it more with kafka-reassign-partitions.sh, or set KVITTERA_KAFKA_REPLICATION to what it has"
    value = difference.expected.removeprefix("at most ").partition(" ")[0]  # a range begins with what is enough
    return (
        f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {topic}"
        f" --add-config {difference.what}={value}"
    )


async def partitions(settings: Settings) -> list[Finding]:
    """Every partition has a broker that leads it, and all its copies are in step; also those that keep the groups."""
    admin = make_admin(settings)
    try:
        await admin.start()
        there = set(await admin.list_topics())
        ours = sorted(CARDS.keys() & there)
        described = await admin.describe_topics(ours) if ours else []
        groups = await admin.describe_topics([_GROUPS]) if _GROUPS in there else []
    finally:
        await admin.close()
    return [*judge_partitions(described), *judge_groups(groups, settings.kafka_replication)]


def judge_partitions(described: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What the partitions of topics, as Kafka's metadata tells of them, say about its brokers."""
    parts = [(f"{topic['topic']}/{p['partition']}", p) for topic in described for p in topic["partitions"]]
    nobody = [name for name, p in parts if p["leader"] < 0]
    led = [(name, p) for name, p in parts if p["leader"] >= 0]
    alone = [name for name, p in led if len(p["isr"]) == 1 and len(p["replicas"]) >= ENOUGH]
    behind = [name for name, p in led if len(p["isr"]) < len(p["replicas"]) and name not in alone]
    found = []
    if nobody:
        told = f"no broker leads {some_of(nobody)}: nothing is read or written there"
        found.append(Finding("Kafka partitions", "ill", told, "bring back the brokers that hold them"))
    if alone:
        told = f"one copy alone is in step: {some_of(alone)}: nothing is written there"
        found.append(Finding("Kafka partitions", "ill", told, "bring back the brokers that hold the others"))
    if behind:
        told = f"copies are missing or behind: {some_of(behind)}"
        found.append(Finding("Kafka partitions", "look", told, "bring back the broker that is away or slow"))
    return found or [Finding("Kafka partitions", "well", f"all {len(parts)} are led, with every copy in step")]


def judge_groups(described: Sequence[Mapping[str, Any]], replication: int) -> list[Finding]:
    """Whether a broker may be lost without its consumer groups: who is in them cannot read while they have no keeper.

    Kafka makes their topic itself, with `offsets.topic.replication.factor` of the brokers, when the first group comes.
    """
    parts = [p for topic in described for p in topic["partitions"]]
    copies = min((len(p["replicas"]) for p in parts), default=replication)
    found = [Finding("Kafka groups", "look", f"{_GROUPS} has {copies} of {replication} copies", _MORE_COPIES)]
    away = sum(p["leader"] < 0 for p in parts)
    told = f"{away} of {len(parts)} partitions of {_GROUPS} have no leader: groups kept there read nothing"
    lost = [Finding("Kafka groups", "ill", told, "bring back the brokers that hold them")]
    return (lost if away else []) + (found if copies < replication else [])
