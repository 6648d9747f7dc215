"""`kvittera status` reads what really stands in PostgreSQL and Kafka."""

import uuid

from aiokafka import TopicPartition
from pydantic import SecretStr

from schemas.topics import CARDS, RESPONSE_RECORDED
from services.chassis.known_server import KnownServer
from services.chassis.postgres import connect, open_pool, tables_of
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import topic_partitions
from services.status import look
from tests.harness import producing


async def test_what_waits_in_postgresql_and_in_kafka_is_told(settings: Settings) -> None:
    await apply_topics(settings, tuple(CARDS.values()))
    part = (await topic_partitions(settings, RESPONSE_RECORDED))[0]
    async with producing(settings) as producer:
        last = await producer.send_and_wait(RESPONSE_RECORDED, b"unread", partition=part.partition)
    for service, text in (
        ("aggregator", "INSERT INTO progress (topic, part, cluster_id, topic_id, next) VALUES ($1, $2, 'c', $3, $4)"),
        ("notifier", "INSERT INTO ledger_change (state, n) VALUES ('delivered', 3), ('accepted', 2), ('planned', 1)"),
        ("survey", "INSERT INTO outbox (shard, topic, value) VALUES (0, 'preference.changed.v1', '{}')"),
    ):
        connection = await connect(settings, service)
        values = (part.topic, part.partition, uuid.uuid4(), last.offset) if service == "aggregator" else ()
        await connection.execute(text, *values)
        await connection.close()

    pool = await open_pool(settings, "aggregator", known=KnownServer())
    async with tables_of(settings, "survey"):  # as `kvittera audit` does
        found = await look(settings)
    await pool.close()

    assert found.away == ()
    assert {(lag.service, lag.topic, lag.partition, lag.records) for lag in found.lags} == {
        ("aggregator", part.topic, part.partition, 1)
    }
    notifier, survey = found.stores["notifier"], found.stores["survey"]
    assert notifier.told["deliveries"] == {"delivered": 3, "asked": 2, "suppressed": 0, "pending": 1, "failed": 0}
    assert notifier.told["deliveries_gap"] == 0
    assert notifier.told["invitations"] == {"accepted": 2, "planned": 1}
    assert notifier.told["sending"] == "on"
    assert survey.outbox_waiting == 1
    assert survey.connections == 0  # only commands are connected
    assert found.stores["aggregator"].connections == 1
    assert found.behind_seconds is not None
    assert 0 <= found.behind_seconds < 60
    assert found.stores["aggregator"].positions == {TopicPartition(part.topic, part.partition): last.offset}


async def test_what_cannot_be_reached_is_said_and_the_rest_is_shown(settings: Settings) -> None:
    connection = await connect(settings, "survey")
    await connection.execute("DROP TABLE outbox")
    await connection.close()

    found = await look(settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9"}))

    assert found.away == (
        "the survey's tables are not up to date: run `kvittera migrate`",
        "Kafka cannot be reached (KafkaConnectionError): `kvittera doctor` says what to do",
    )
    assert sorted(found.stores) == ["aggregator", "notifier"]
    assert found.broker is None


async def test_a_postgresql_that_is_away_is_said_for_each_service(settings: Settings) -> None:
    away = settings.model_copy(
        update={"kafka_bootstrap": "127.0.0.1:9", "postgres_dsn": SecretStr("postgresql://nobody@127.0.0.1:9/none")}
    )
    found = await look(away)
    assert [sentence.partition(" cannot")[0] for sentence in found.away] == [
        "the notifier's tables",
        "the survey's tables",
        "the aggregator's tables",
        "Kafka",
    ]
