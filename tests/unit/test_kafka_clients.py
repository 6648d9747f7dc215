"""Every unsafe default of the Kafka client is overridden (hazards 5 and 13): asked of the built clients."""

import asyncio
import gc
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, ProducerClosed, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import MessageBatch
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.faststream_feed import security_of
from services.chassis.kafka import (
    connection,
    drop_topic,
    make_consumer,
    make_producer,
    start_with_patience,
    stop_producer,
)
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.settings import Settings

SETTINGS = Settings(boot_patience_seconds=0)


async def test_the_consumer_never_commits_by_itself_and_reads_committed_records_only() -> None:
    consumer = make_consumer(SETTINGS, group="g", client="c")
    assert consumer._enable_auto_commit is False
    assert consumer._isolation_level == "read_committed"
    assert consumer._auto_offset_reset == "earliest"
    assert consumer._session_timeout_ms == 10_000
    assert consumer._rebalance_timeout_ms == 10_000
    assert consumer._heartbeat_interval_ms == 2_000
    assert consumer._max_poll_interval_ms == 300_000
    assert consumer._check_crcs is True
    assert consumer._key_deserializer is None
    assert consumer._value_deserializer is None
    await consumer.stop()


async def test_the_producer_waits_for_all_replicas_and_cannot_double_by_retrying() -> None:
    producer = make_producer(SETTINGS, client="c")
    assert producer._sender._acks == -1
    assert producer._txn_manager is not None
    assert producer._txn_manager.transactional_id is None
    assert producer._max_request_size == 8 * 1024 * 1024
    assert producer._request_timeout_ms == 20_000
    await producer.stop()


def with_records(topic: str, producer: AIOKafkaProducer) -> list[MessageBatch]:
    """Three batches: one was never tried, one waits to be tried again, one is being tried."""
    waiting = producer._message_accumulator
    batches = [waiting._append_batch(producer.create_batch(), TopicPartition(topic, n)) for n in range(3)]
    if not producer._txn_manager.has_pid():
        producer._txn_manager.set_pid_and_epoch(1, 0)
    for batch in batches[1:]:
        waiting._pop_batch(batch.tp)
    waiting.reenqueue(batches[1])
    return batches


async def test_what_a_stopped_producer_could_not_send_is_no_traceback_on_the_standard_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gc.collect()  # what tests before this one left is theirs
    caplog.clear()
    producer = make_producer(SETTINGS, client="c")
    batches = with_records("t", producer)
    producer._sender._sender_task = asyncio.create_task(asyncio.Event().wait())
    await stop_producer(producer, 0.05)
    assert [type(batch.future.exception()) for batch in batches] == [ProducerClosed] * 3
    del producer, batches
    gc.collect()  # only then asyncio tells of failures that nobody asked for
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_a_producer_tries_no_more_to_send_to_a_topic_that_is_gone_and_goes_on_with_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    producer = make_producer(SETTINGS, client="c")
    gone, kept = with_records("gone", producer), with_records("kept", producer)
    drop_topic(producer, UnknownTopicOrPartitionError("gone"), "gone")
    await asyncio.sleep(0)
    assert [batch.future.done() for batch in gone] == [True, True, False]
    assert [batch.future.done() for batch in kept] == [False, False, False]
    waiting = producer._message_accumulator
    assert [place.topic for place in waiting._batches] == ["kept", "kept"]
    assert {batch.tp for batch in waiting._pending_batches} == {TopicPartition("gone", 2), TopicPartition("kept", 2)}
    await producer.stop()
    del producer, gone, kept, waiting
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_waiting_for_kafka_ends_with_what_to_check_and_closes_what_was_opened() -> None:
    closed: list[bool] = []

    async def fails() -> None:
        raise KafkaConnectionError("10.1.2.3:9092 CANARY")

    async def close() -> None:
        closed.append(True)

    with pytest.raises(MustStop) as stopped:
        await start_with_patience(fails, SETTINGS, "the reader", close=close)
    assert str(stopped.value) == (
        "Kafka cannot be reached by the reader (KafkaConnectionError); check KVITTERA_KAFKA_BOOTSTRAP and that it runs"
    )
    assert closed == [True]


async def test_waiting_for_kafka_ends_at_once_when_told_to_stop() -> None:
    async def fails() -> None:
        raise KafkaConnectionError

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    began = time.monotonic()
    patient = Settings(boot_patience_seconds=60)
    assert await start_with_patience(fails, patient, "the reader", stop=stop) is False
    assert time.monotonic() - began < 40


async def test_kafka_that_comes_late_is_waited_for() -> None:
    attempts: list[int] = []

    async def late() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise KafkaConnectionError

    assert await start_with_patience(late, Settings(boot_patience_seconds=90), "the reader") is True
    assert len(attempts) == 3


def row(**more: Any) -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "topic": "response.recorded.v1",
        "key": b"k",
        "value": b"{}",
        "event_id": UUID("01983b1e-7d2a-7c7e-9d57-0e8f5bb2c001"),
        "happened_at": datetime(2026, 11, 22, 6, 0, 0, 123456, tzinfo=UTC),
        "traceparent": None,
        "raw_headers": None,
        **more,
    }


def headers_of(fields: dict[str, Any]) -> Sequence[tuple[str, bytes | None]]:
    return Relay(SETTINGS, "survey", Metrics())._headers(fields)  # type: ignore[arg-type]


def test_an_outbox_row_becomes_a_cloudevent_in_binary_mode() -> None:
    assert headers_of(row()) == [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", b"01983b1e-7d2a-7c7e-9d57-0e8f5bb2c001"),
        ("ce_source", b"/kvittera/survey"),
        ("ce_type", b"response.recorded.v1"),
        ("ce_time", b"2026-11-22T06:00:00.123456Z"),
    ]


def test_the_trace_goes_along() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert headers_of(row(traceparent=trace))[-1] == ("traceparent", trace.encode())


def test_a_tombstone_has_no_content_type() -> None:
    assert headers_of(row(value=None))[0] == ("ce_specversion", b"1.0")


def test_a_dead_letters_headers_are_sent_as_they_were_and_nothing_is_added() -> None:
    raw = '[["ce_id", "//4="], ["empty", null], ["kvittera_dlq_reason", "YmFkX2pzb24="]]'
    assert headers_of(row(raw_headers=raw)) == [
        ("ce_id", b"\xff\xfe"),
        ("empty", None),
        ("kvittera_dlq_reason", b"bad_json"),
    ]


def test_the_brokers_are_spoken_to_as_the_settings_say() -> None:
    assert connection(SETTINGS) == {"bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT"}
    secured = Settings(kafka_security="sasl_ssl", kafka_username="kvittera", kafka_password=SecretStr("hemligt"))
    found = connection(secured)
    assert found.pop("ssl_context").check_hostname is True
    assert found == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "kvittera",
        "sasl_plain_password": "hemligt",
    }


def test_a_log_in_without_a_password_stops_the_start() -> None:
    with pytest.raises(MustStop, match="needs KVITTERA_KAFKA_USERNAME and KVITTERA_KAFKA_PASSWORD"):
        connection(Settings(kafka_security="sasl_ssl", kafka_username="kvittera"))


def test_a_list_of_authorities_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(MustStop, match="wrong setting KVITTERA_KAFKA_CA_FILE"):
        connection(Settings(kafka_security="ssl", kafka_ca_file=tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("mechanism", "kind"),
    [("PLAIN", SASLPlaintext), ("SCRAM-SHA-256", SASLScram256), ("SCRAM-SHA-512", SASLScram512)],
)
def test_subscriptions_are_let_in_the_same_way(mechanism: Any, kind: type[BaseSecurity]) -> None:
    settings = Settings(
        kafka_security="sasl_plaintext",
        kafka_sasl_mechanism=mechanism,
        kafka_username="kvittera",
        kafka_password=SecretStr("hemligt"),
    )
    assert isinstance(security_of(settings), kind)
    assert security_of(settings).use_ssl is False
    assert security_of(Settings(kafka_security="ssl")).use_ssl is True
    assert security_of(SETTINGS).use_ssl is False
