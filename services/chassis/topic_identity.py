"""Which topic is this really? Cluster id and topic id, which aiokafka's own metadata call does not give.

A topic that was deleted and made again starts at offset 0; progress kept for the old one would silently
skip records (hazard 28). Kafka's Metadata request v12 (KIP-516) tells the ids.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import UUID

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from services.chassis.failures import MustStop, TryAgain
from services.chassis.kafka import make_client, start_with_patience
from services.chassis.settings import Settings


class _Uuid:
    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Iterable[str], *, operations: bool = False) -> None:
        self._topics = list(topics)
        self._operations = operations

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        nobody = UUID(int=0)
        return request_struct_class([(nobody, name, {}) for name in self._topics], False, self._operations, {})


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """What makes a topic this topic and no other of the same name."""

    cluster_id: str
    topic_id: UUID
    partitions: int

    def parts(self, topic: str) -> list[TopicPartition]:
        """All partitions, in order, where the topic is named so."""
        return [TopicPartition(topic, n) for n in range(self.partitions)]


async def topic_partitions(settings: Settings, topic: str) -> list[TopicPartition]:
    """All partitions of a topic, for readers that are in no group.

    Raises:
        MustStop: the topic does not exist, or Kafka cannot be reached.
    """
    client = make_client(settings)
    await start_with_patience(client.bootstrap, settings, f"the reader of {topic}", close=client.close)
    try:
        identity = (await identify_topics(client, [topic]))[topic]
    finally:
        await client.close()
    return identity.parts(topic)


async def identity_now(settings: Settings, topic: str) -> TopicIdentity:
    """The identity of a topic, for work that waits where a topic is away; asked once.

    Raises:
        UnknownTopicOrPartitionError: Kafka does not have it.
        KafkaError, TimeoutError, TryAgain: it cannot be asked now.
    """
    known = KnownTopics(settings, [topic])
    try:
        await known.learn()
    except MustStop:
        raise UnknownTopicOrPartitionError(topic) from None
    return known[topic]


async def identify_topics(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, TopicIdentity]:
    """Ask the cluster for the identity of each topic.

    Raises:
        MustStop: a topic does not exist.
        TryAgain: the cluster is not ready to say.
    """
    wanted = list(topics)
    reply: Any = await client.send(client.get_random_node(), _MetadataRequest(wanted))
    found: dict[str, TopicIdentity] = {}
    for error, name, topic_id, _, partitions, _, _ in reply.topics:
        if error == UnknownTopicOrPartitionError.errno:
            raise MustStop(f"topic {name} does not exist: run `kvittera topics apply`")
        if error:
            raise TryAgain(f"Kafka answers error {error} for topic {name}")
        found[name] = TopicIdentity(reply.cluster_id, topic_id, len(partitions))
    return found


async def allowed_operations(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, int]:
    """What this account may do with each topic: a bit for each number of Kafka's `AclOperation` (KIP-430).

    0 where it may not even see the topic; topics that do not exist are left out.
    """
    reply: Any = await client.send(client.get_random_node(), _MetadataRequest(topics, operations=True))
    return {
        name: 0 if error == TopicAuthorizationFailedError.errno else operations
        for error, name, _, _, _, operations, _ in reply.topics
        if error in {0, TopicAuthorizationFailedError.errno}
    }


class KnownTopics:
    """The topics of a reader as they were when it learned them, and whether they still are."""

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._known: dict[str, TopicIdentity] = {}

    def __getitem__(self, topic: str) -> TopicIdentity:
        """The identity of a topic that was learned."""
        return self._known[topic]

    async def learn(self) -> None:
        """Ask the cluster now and remember what it says.

        Raises:
            MustStop: a topic does not exist.
        """
        self._known = await self._ask()

    async def learn_anew(self, topics: Collection[str]) -> None:
        """Ask the cluster now and remember what it says of these topics; the others stay as they were learned.

        Raises:
            MustStop: a topic does not exist.
        """
        self._known |= {topic: identity for topic, identity in (await self._ask()).items() if topic in topics}

    async def check(self) -> Mapping[str, TopicIdentity]:
        """See that every topic is still the one that was learned; returns what they are now.

        Raises:
            MustStop: a topic was made again, or is gone.
        """
        found = await self._ask()
        for topic, identity in found.items():
            if identity.topic_id != self._known[topic].topic_id:
                raise MustStop(
                    f"{topic} was deleted and made again while it was read. Delete its progress rows to read the new"
                    " one from its start"
                )
        return found

    async def _ask(self) -> dict[str, TopicIdentity]:
        client = make_client(self._settings)
        try:
            async with asyncio.timeout(10):
                await client.bootstrap()
                return await identify_topics(client, self._topics)
        finally:
            await client.close()
