"""Topics on the broker, as their cards say: create what is missing, name what differs."""

import asyncio
from collections.abc import Mapping, Sequence
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
from services.chassis.topic_copies import config_of_copies, unsafe_copies

_TOLD_WITHIN = 15.0
_MAY_NOT = "let this account create topics, or let others make them as `kvittera topics check` says"
_MAY_NOT_SEE = "grant it Describe and DescribeConfigs on the topics, or ask as an account that has them"
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
                topic_configs=c.config() | config_of_copies(settings.kafka_replication),
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
    """What on the broker is not as the cards say: missing topics, configuration, partitions, and unsafe copies.

    Raises:
        MustStop: this account is not told how the topics are configured.
    """
    admin = await _open(settings)
    try:
        existing = set(await admin.list_topics())
        found = [Difference(c.name, "topic", "exists", "missing") for c in cards if c.name not in existing]
        present = {c.name: c for c in cards if c.name in existing}
        if present:
            configs = await _configs(admin, list(present))
            for topic in await admin.describe_topics(list(present)):
                name = topic["topic"]
                copies = [len(p["replicas"]) for p in topic["partitions"]]
                found += _compare(settings, present[name], configs[name], copies)
        return found
    finally:
        await admin.close()


def _compare(
    settings: Settings, card: TopicCard, config: Mapping[str, str | None], copies: Sequence[int]
) -> list[Difference]:
    """What about a topic is not as its card says; `copies` of each of its partitions."""
    found = [
        Difference(card.name, name, value, config.get(name) or "unset")
        for name, value in card.config().items()
        if config.get(name) != value
    ]
    wanted, replicas = _partitions(settings, card), min(copies, default=0)
    if len(copies) != wanted:
        found.append(Difference(card.name, "partitions", str(wanted), str(len(copies))))
    if replicas < settings.kafka_replication:
        found.append(Difference(card.name, "replicas", str(settings.kafka_replication), str(replicas)))
    return found + [Difference(card.name, *wrong) for wrong in unsafe_copies(replicas, config)]


def _partitions(settings: Settings, card: TopicCard) -> int:
    """A card with one partition keeps it, whatever is set."""
    return settings.kafka_partitions if settings.kafka_partitions and card.partitions > 1 else card.partitions


async def _configs(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """The configuration that holds for each topic, the broker's defaults included."""
    replies = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in topics])
    resources = [resource for reply in replies for resource in reply.resources]
    for code, _, _, name, *_ in resources:
        if code == TopicAuthorizationFailedError.errno:
            raise MustStop(f"Kafka does not tell this account how {name} is configured; {_MAY_NOT_SEE}")
        if code:
            raise for_code(code)(name)
    return {name: {entry[0]: entry[1] for entry in entries} for _, _, _, name, entries, *_ in resources}


async def _open(settings: Settings) -> AIOKafkaAdminClient:
    admin = make_admin(settings)
    await start_with_patience(admin.start, settings, "topic administration", close=admin.close)
    return admin
