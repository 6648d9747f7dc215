"""Connections to Kafka that break under a request or are given up, also on the loop that services run on."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, conn
from aiokafka.client import create_conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.metadata import MetadataRequest
from structlog.testing import capture_logs

from services.chassis.kafka import make_admin, make_client, make_consumer, make_producer
from services.chassis.settings import Settings


@pytest.fixture(autouse=True)
def no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks for the versions of a server that says nothing; it knows how to tell of its topics."""

    async def no_versions(connection: AIOKafkaConnection) -> None:
        connection._versions = {MetadataRequest.API_KEY: (1, 5)}

    monkeypatch.setattr(AIOKafkaConnection, "_do_version_lookup", no_versions)


@asynccontextmanager
async def silent_server(ended: asyncio.Event) -> AsyncIterator[int]:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _ask_over_a_broken_connection(closed: list[CloseReason]) -> None:
    make_client(Settings())  # any client: from now on connections are ours
    async with silent_server(asyncio.Event()) as port:
        connection = await create_conn("127.0.0.1", port, on_close=lambda _, reason: closed.append(reason))
        connection._writer.transport.abort()
        await asyncio.sleep(0)  # the transport is gone, and who reads from it has not been told
        with pytest.raises(KafkaConnectionError, match="broken: unable to perform operation"):
            await connection.send(ApiVersionRequest())
        connection.close()


def test_a_request_on_a_connection_that_has_just_broken_fails_as_kafka_does() -> None:
    closed = list[CloseReason]()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_ask_over_a_broken_connection(closed))
    assert closed == [CloseReason.CONNECTION_BROKEN]


async def test_a_request_that_aiokafka_cannot_put_is_no_broken_connection() -> None:
    make_client(Settings())
    async with silent_server(asyncio.Event()) as port:
        connection = await create_conn("127.0.0.1", port)
        connection._versions = {MetadataRequest.API_KEY: (90, 95)}
        with pytest.raises(NotImplementedError, match="not yet been added"):
            await connection.send(MetadataRequest([]))
        assert connection.connected()
        connection.close()


async def test_an_answer_that_cannot_be_read_ends_the_connection_and_nothing_more_is_heard_on_it() -> None:
    make_client(Settings())
    closed = list[CloseReason]()

    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        frame = struct.pack(">ii", 5, 0) + b"\0"  # of the right request, and cut off
        writer.write(2 * frame)
        await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with capture_logs() as told:
        connection = await create_conn("127.0.0.1", port, on_close=lambda _, reason: closed.append(reason))
        waits = connection.send(MetadataRequest([]))
        connection._requests[0] = (0, *connection._requests[0][1:])
        with pytest.raises(KafkaConnectionError, match="closed"):
            await waits
        await over.wait()
    server.close()
    assert closed == [CloseReason.CONNECTION_BROKEN]
    assert [line["event"] for line in told] == ["an answer of Kafka cannot be read, or was not asked for"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_consumer(Settings(), group=None, client="c"),
        lambda: make_producer(Settings(), client="c"),
        lambda: make_admin(Settings()),
        lambda: make_client(Settings()),
    ],
    ids=["consumer", "producer", "admin", "client"],
)
async def test_every_kind_of_client_has_sound_connections(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    monkeypatch.setattr(conn, "AIOKafkaConnection", AIOKafkaConnection)
    client = make()
    assert conn.AIOKafkaConnection is not AIOKafkaConnection
    if isinstance(client, AIOKafkaConsumer | AIOKafkaProducer):
        await client.stop()


async def test_a_client_that_is_cancelled_while_it_starts_leaves_no_connection_open() -> None:
    ended = asyncio.Event()
    async with silent_server(ended) as port:
        client = make_client(Settings(kafka_bootstrap=f"127.0.0.1:{port}"))
        starting = asyncio.create_task(client.bootstrap())
        await asyncio.sleep(0.1)
        starting.cancel()
        await asyncio.wait({starting})
        await client.close()
        async with asyncio.timeout(5):
            await ended.wait()
