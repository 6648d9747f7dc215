"""FastStream as the carrier of a subscription, with our fence underneath.

FastStream's acknowledgement modes lose or repeat records (dependency notes 1 to 10), so it gets none to
decide: manual mode, never acknowledged, position by the fence. Whatever it repeats or skips, the fence
drops or reads again.
"""

import asyncio
from typing import Any, TypeVar

from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.chassis.batches import by_partition
from services.chassis.consumer import Reader
from services.chassis.fetched_records import read_many_at_once
from services.chassis.kafka import CONSUMER_OPTIONS, connection, start_with_patience, stop_in_time
from services.chassis.kafka_connection import use_sound_connections
from services.chassis.lifecycle import Task
from services.chassis.settings import Settings

T = TypeVar("T")
_OF_THE_BROKER = ("request_timeout_ms", "metadata_max_age_ms")
_HANDLED_BY_FASTSTREAM = {"enable_auto_commit", *_OF_THE_BROKER}


async def _untouched(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """Hand the records over as they are: FastStream's own parser raises on headers that are not UTF-8."""
    return KafkaMessage(body=b"", headers={}, raw_message=records, consumer=None, message_id="batch")  # type: ignore[arg-type]


async def _undecoded(_: KafkaMessage) -> None:
    return None


def carry(
    reader: Reader[T], settings: Settings, *, max_records: int, wait_ms: int = 100, fetch_wait_ms: int = 100
) -> Task:
    """A task that subscribes through FastStream and hands every batch to the reader until stopped.

    A batch is handed over as soon as there is one; `wait_ms` is how often is looked while there is none.
    `fetch_wait_ms`: see `own_feed.consume`.
    """

    async def run(stop: asyncio.Event) -> None:
        if not await reader.prepare(stop):
            return
        read_many_at_once()
        use_sound_connections()
        broker = KafkaBroker(
            settings.kafka_bootstrap.split(","),  # FastStream takes a text for one address
            security=security_of(settings),
            client_id=f"kvittera-{reader.fence.service}",
            logger=None,
            allow_auto_create_topics=False,
            **{name: CONSUMER_OPTIONS[name] for name in _OF_THE_BROKER},
        )
        options: dict[str, Any] = {k: v for k, v in CONSUMER_OPTIONS.items() if k not in _HANDLED_BY_FASTSTREAM}
        options["fetch_max_wait_ms"] = fetch_wait_ms
        subscriber = broker.subscriber(
            *reader.topics,
            group_id=reader.fence.group,
            group_instance_id=reader.member,
            batch=True,
            max_records=max_records,
            batch_timeout_ms=wait_ms,
            ack_policy=AckPolicy.MANUAL,
            listener=reader,
            parser=_untouched,
            decoder=_undecoded,
            **options,
        )

        async def hand_over(message: KafkaMessage) -> None:
            try:
                await reader.take(reader.receive(by_partition(message.raw_message)))
            except Exception as error:  # noqa: BLE001  FastStream would swallow it; `watch` ends the process with it
                reader.failure = error

        subscriber(hand_over)
        reader.read_through(lambda: subscriber.consumer)
        try:
            await start_with_patience(broker.start, settings, reader.fence.group, stop=stop)
            await stop.wait()
        finally:
            await stop_in_time(broker.stop, 5, "consumer")

    return run


def security_of(settings: Settings) -> BaseSecurity:
    """The same way in as all other clients have, in FastStream's words."""
    how = connection(settings)
    tls = how.get("ssl_context")
    log_in = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    if "sasl_mechanism" not in how:
        return BaseSecurity(ssl_context=tls)
    kind = log_in[how["sasl_mechanism"]]
    return kind(how["sasl_plain_username"], how["sasl_plain_password"], ssl_context=tls)
