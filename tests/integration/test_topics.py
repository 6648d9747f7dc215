"""Topics on a broker are made as their cards say, and what differs is named."""

import dataclasses
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import CARDS, TopicCard
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin
from services.chassis.settings import Settings
from services.chassis.topic_admin import Difference, apply_topics, compare_topics
from services.chassis.topic_identity import topic_partitions
from tests.harness import until


@pytest.fixture
async def cards(settings: Settings) -> AsyncIterator[list[TopicCard]]:
    """Every card under a name of this test's own."""
    own = uuid.uuid4().hex[:8]
    cards = [dataclasses.replace(card, name=f"{own}.{name}") for name, card in CARDS.items()]
    yield cards
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_topics([c.name for c in cards])
    await admin.close()


async def test_missing_topics_are_named_then_made_once_and_are_then_as_their_cards_say(
    settings: Settings, cards: list[TopicCard]
) -> None:
    assert await compare_topics(settings, cards[:2]) == [
        Difference(cards[0].name, "topic", "exists", "missing"),
        Difference(cards[1].name, "topic", "exists", "missing"),
    ]
    assert sorted(await apply_topics(settings, cards)) == sorted(c.name for c in cards)
    assert await apply_topics(settings, cards) == []
    assert await compare_topics(settings, cards) == []
    sizes = {c.name: len(await topic_partitions(settings, c.name)) for c in cards[:3]}
    assert sizes == {c.name: 2 if c.partitions > 1 else 1 for c in cards[:3]}


async def test_a_configuration_that_differs_is_named_and_left_alone(settings: Settings, cards: list[TopicCard]) -> None:
    [card] = cards[:1]
    await apply_topics(settings, cards)
    admin = make_admin(settings)
    await admin.start()
    changed = {**card.config(), "retention.ms": "1000", "message.timestamp.type": "CreateTime"}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, card.name, changed)])
    await admin.close()
    wanted = [
        Difference(card.name, "message.timestamp.type", "LogAppendTime", "CreateTime"),
        Difference(card.name, "retention.ms", "604800000", "1000"),
    ]

    async def named() -> bool:
        return await compare_topics(settings, cards) == wanted

    await until(named)
    assert await apply_topics(settings, cards) == []
    assert await compare_topics(settings, cards) == wanted
    more = settings.model_copy(update={"kafka_replication": 3})
    assert Difference(card.name, "replicas", "3", "1") in await compare_topics(more, cards)
    wider = settings.model_copy(update={"kafka_partitions": 5})
    assert Difference(card.name, "partitions", "5", "2") in await compare_topics(wider, cards)


async def test_a_topic_that_the_broker_refuses_is_named(settings: Settings, cards: list[TopicCard]) -> None:
    more = settings.model_copy(update={"kafka_replication": 3})
    told = f"to create {cards[0].name}: InvalidReplicationFactor.*; set KVITTERA_KAFKA_REPLICATION to no more"
    with pytest.raises(MustStop, match=told):
        await apply_topics(more, cards[:1])
    await apply_topics(settings, cards)
