"""Topics on the broker, as their cards say: create what is missing, name what differs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from schemas.topics import TopicCard
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin, start_with_patience
from services.chassis.pauses import pauses
from services.chassis.settings import Settings

_TOLD_WITHIN = 15.0
_MAY_NOT = "let this account create topics, or let others make them as `kvittera topics check` says"
_WHAT_TO_DO = {
    InvalidReplicationFactorError.errno: "set KVITTERA_KAFKA_REPLICATION to no more than there are brokers",
    TopicAuthorizationFailedError.errno: _MAY_NOT,
    ClusterAuthorizationFailedError.errno: _MAY_NOT,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about a topic that is not as its card says."""

    topic: str
    what: str
    expected: str
    found: str


async def apply_topics(settings: Settings, cards: Sequence[TopicCard]) -> list[str]:
    """Create the topics that are missing. Returns their names; existing topics are never changed here.

    Raises:
        MustStop: the broker refused one, or tells of none of them in time.
    """
    admin = await _open(settings)
    try:
        missing = sorted({c.name for c in cards} - set(await admin.list_topics()))
        new = [
            NewTopic(
                c.name,
                num_partitions=_partitions(settings, c),
                replication_factor=settings.kafka_replication,
                topic_configs=c.config(),
            )
            for c in cards
            if c.name in missing
        ]
        if new:
            reply = await admin.create_topics(new)
            for name, code, message in reply.topic_errors:
                if code not in {0, TopicAlreadyExistsError.errno}:
                    why = f"{for_code(code).__name__} {message or ''}".rstrip(" .")
                    do = f"; {_WHAT_TO_DO[code]}" if code in _WHAT_TO_DO else ""
                    raise MustStop(f"Kafka refused to create {name}: {why}{do}")
            await _until_told_of(admin, missing)
        return missing
    finally:
        await admin.close()


async def _until_told_of(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> None:
    """Created is not yet told of: who reads a topic at once would hear that it does not exist."""
    try:
        async with asyncio.timeout(_TOLD_WITHIN):
            for pause in pauses(longest=0.5):
                if set(topics) <= set(await admin.list_topics()):
                    return
                await asyncio.sleep(pause)
    except TimeoutError:
        raise MustStop(f"Kafka made topics that it does not tell of after {_TOLD_WITHIN:.0f} s: try again") from None


async def compare_topics(settings: Settings, cards: Sequence[TopicCard]) -> list[Difference]:
    """What on the broker is not as the cards say: missing topics, partitions, replication, configuration."""
    admin = await _open(settings)
    try:
        existing = set(await admin.list_topics())
        found = [Difference(c.name, "topic", "exists", "missing") for c in cards if c.name not in existing]
        present = [c for c in cards if c.name in existing]
        by_name = {c.name: c for c in present}
        for card in present:
            found += await _compare_config(admin, card)
        for topic in await admin.describe_topics([c.name for c in present]):
            wanted, partitions = _partitions(settings, by_name[topic["topic"]]), len(topic["partitions"])
            if partitions != wanted:
                found.append(Difference(topic["topic"], "partitions", str(wanted), str(partitions)))
            replicas = min((len(p["replicas"]) for p in topic["partitions"]), default=0)
            if replicas < settings.kafka_replication:
                found.append(Difference(topic["topic"], "replicas", str(settings.kafka_replication), str(replicas)))
        return found
    finally:
        await admin.close()


def _partitions(settings: Settings, card: TopicCard) -> int:
    """A card with one partition keeps it, whatever is set."""
    return settings.kafka_partitions if settings.kafka_partitions and card.partitions > 1 else card.partitions


async def _compare_config(admin: AIOKafkaAdminClient, card: TopicCard) -> list[Difference]:
    replies = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, card.name)])
    actual = {entry[0]: entry[1] for reply in replies for resource in reply.resources for entry in resource[4]}
    return [
        Difference(card.name, name, value, actual.get(name, "unset"))
        for name, value in card.config().items()
        if actual.get(name) != value
    ]


async def _open(settings: Settings) -> AIOKafkaAdminClient:
    admin = make_admin(settings)
    await start_with_patience(admin.start, settings, "topic administration", close=admin.close)
    return admin
