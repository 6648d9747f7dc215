"""Kafka clients, made in one place: every unsafe default is overridden here and nowhere else (dep 23-27)."""

import asyncio
import itertools
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, ProducerClosed, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import MessageAccumulator

from services.chassis.failures import MustStop, TryAgain
from services.chassis.fetched_records import read_many_at_once
from services.chassis.kafka_connection import use_sound_connections
from services.chassis.pauses import pause_or_stop, pauses
from services.chassis.settings import Settings
from services.chassis.waiting import waits_for

log = structlog.get_logger()

MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""A dead letter is the untouched record, so we must be able to send what others could."""

_BROKEN_OFF_WITHIN = 1.0

NO_HURRY_MS = 500
"""How long a broker may wait for records of topics whose readers need none at once: each look costs it and us."""

FETCH_BYTES = 4 * 1024 * 1024
"""What a reader is sent of each partition at once."""
CONSUMER_OPTIONS: dict[str, Any] = {
    "enable_auto_commit": False,  # auto-commit commits what was handed out, not what was done (H5)
    "auto_offset_reset": "earliest",  # only a starting point: the fence decides, and gaps stop the service
    "isolation_level": "read_committed",
    # The fence makes a take-over that comes too early harmless, so it may come soon.
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 2_000,
    "rebalance_timeout_ms": 10_000,
    "max_poll_interval_ms": 300_000,
    "fetch_max_wait_ms": 100,
    "max_partition_fetch_bytes": FETCH_BYTES,
    "check_crcs": True,
    "request_timeout_ms": 30_000,
    # A topic that Kafka did not know of for a moment has no reader until its consumer asks again.
    "metadata_max_age_ms": 30_000,
}
PRODUCER_OPTIONS: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 2,
    "max_batch_size": 256 * 1024,
    "max_request_size": MAX_REQUEST_BYTES,
    "request_timeout_ms": 20_000,
}


def connection(settings: Settings) -> dict[str, Any]:
    """Where the brokers are and how to be let in.

    Raises:
        MustStop: a log-in without name or password, or a file of authorities that cannot be read.
    """
    found: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security.upper(),
    }
    if settings.kafka_security.endswith("ssl"):
        try:
            found["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise MustStop(f"wrong setting KVITTERA_KAFKA_CA_FILE: cannot be read ({type(error).__name__})") from None
    if settings.kafka_security.startswith("sasl"):
        if not settings.kafka_username or not settings.kafka_password.get_secret_value():
            raise MustStop(
                f"KVITTERA_KAFKA_SECURITY={settings.kafka_security} needs KVITTERA_KAFKA_USERNAME and"
                " KVITTERA_KAFKA_PASSWORD"
            )
        found |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return found


def make_consumer(settings: Settings, *, group: str | None, client: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer that hands out bytes and never commits by itself. Not yet started or subscribed."""
    read_many_at_once()
    use_sound_connections()
    return AIOKafkaConsumer(
        **connection(settings),
        group_id=group,
        client_id=client,
        **{**CONSUMER_OPTIONS, **options},
    )


def membership(settings: Settings, service: str, port: int) -> str:
    """A name for this process in its consumer group that survives a restart (KIP-345).

    A killed process that comes back gets its partitions at once instead of after the session timeout.
    """
    return f"{service}-{settings.instance or socket.gethostname()}-{port}"


def make_producer(settings: Settings, *, client: str, **options: Any) -> AIOKafkaProducer:
    """An idempotent producer that waits for all in-sync replicas. Not yet started."""
    use_sound_connections()
    return AIOKafkaProducer(**connection(settings), client_id=client, **{**PRODUCER_OPTIONS, **options})


def make_admin(settings: Settings) -> AIOKafkaAdminClient:
    """An admin client. Not yet started."""
    use_sound_connections()
    return AIOKafkaAdminClient(**connection(settings), request_timeout_ms=20_000)


def make_client(settings: Settings, *, answers_within: float = 20.0) -> AIOKafkaClient:
    """The bare protocol client, for what aiokafka's consumer does not tell. Not yet started.

    `answers_within` seconds each connection and each answer must have come.
    """
    use_sound_connections()
    return AIOKafkaClient(**connection(settings), request_timeout_ms=int(answers_within * 1000))


async def start_with_patience(
    start: Callable[[], Awaitable[object]],
    settings: Settings,
    what: str,
    *,
    close: Callable[[], Awaitable[object]] | None = None,
    stop: asyncio.Event | None = None,
) -> bool:
    """Call `start` until Kafka answers. Returns False when `stop` was set before that.

    Raises:
        MustStop: Kafka did not answer within KVITTERA_BOOT_PATIENCE_SECONDS.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.boot_patience_seconds
    stop = stop or asyncio.Event()
    tell = waits_for("Kafka", "KVITTERA_KAFKA_BOOTSTRAP")
    for pause in pauses(first=0.1, longest=2):
        try:
            async with asyncio.timeout(max(1.0, min(30.0, deadline - loop.time()))):
                await start()
        except (KafkaError, OSError, TimeoutError, TryAgain) as error:
            late = loop.time() > deadline
            if not late:
                tell(error)
            if not late and not await pause_or_stop(pause, stop):
                continue
            if close is not None:
                await close()
            if late:
                raise MustStop(
                    f"Kafka cannot be reached by {what} ({type(error).__name__});"
                    " check KVITTERA_KAFKA_BOOTSTRAP and that it runs"
                ) from None
            return False
        else:
            return True
    raise AssertionError("pauses never end")


async def stop_producer(producer: AIOKafkaProducer, seconds: float) -> None:
    """Stop a producer within `seconds`, and drop what it could not send by then.

    aiokafka leaves a producer whose stop is cut short at work: it would go on trying while Kafka is away, and send old
    records behind newer ones once Kafka is back. What is dropped waits in a table, for the next producer.
    """
    waiting = producer._message_accumulator  # noqa: SLF001
    _let_failures_pass(waiting)
    if await stop_in_time(producer.stop, seconds, "producer"):
        return
    sender = producer._sender.sender_task  # noqa: SLF001
    if sender is None or sender.done():
        return
    sender.cancel()
    _let_failures_pass(waiting)  # some may have been tried again meanwhile
    # What waits to be tried again has left this set, and would be taken out of it once more.
    waiting._pending_batches.update(itertools.chain(*waiting._batches.values()))  # noqa: SLF001
    waiting.fail_all(ProducerClosed())
    # A sender that was told to end waits for its last requests; without connections they end at once.
    await stop_in_time(producer.client.close, _BROKEN_OFF_WITHIN, "producer's connections")
    sender.cancel()
    await asyncio.wait([sender], timeout=_BROKEN_OFF_WITHIN)


def _let_failures_pass(waiting: MessageAccumulator) -> None:
    """What a producer still has nobody waits for any more: its failures are none to tell of."""
    for batch in {*waiting._pending_batches, *itertools.chain(*waiting._batches.values())}:  # noqa: SLF001
        for future in (batch.future, batch._drain_waiter):  # noqa: SLF001
            future.add_done_callback(was_told)


def drop_topic(producer: AIOKafkaProducer, lost: UnknownTopicOrPartitionError, topic: str) -> None:
    """Have a producer send no more to a topic that is gone; it would ask for it a thousand times a second."""
    waiting = producer._message_accumulator  # noqa: SLF001
    _let_failures_pass(waiting)
    for place in [place for place in waiting._batches if place.topic == topic]:  # noqa: SLF001
        for batch in waiting._batches.pop(place):  # noqa: SLF001
            if batch.retry_count:
                waiting._pending_batches.add(batch)  # noqa: SLF001  it leaves this set once more
            batch.failure(lost)


def was_told(future: asyncio.Future[Any]) -> None:
    """Let the failure of a future that perhaps nobody waits for any more pass in silence."""
    if not future.cancelled():
        future.exception()


async def stop_in_time(stop: Callable[[], Awaitable[object]], seconds: float, what: str) -> bool:
    """Stop a client, but not for longer than `seconds`: without a broker aiokafka may wait for ever.

    Returns whether it stopped.
    """
    try:
        async with asyncio.timeout(seconds):
            await stop()
    except (TimeoutError, KafkaError, OSError) as error:
        log.warning("did not stop in time", action="abandon", what=what, error=type(error).__name__)
    except asyncio.CancelledError:
        # aiokafka lets out the cancellation of its own tasks; only one meant for us goes on.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
    else:
        return True
    return False
