"""Connections to Kafka that break under a request or are given up, also on the loop that services run on."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
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
from aiokafka.protocol.produce import ProduceRequest
from structlog.testing import capture_logs

from services.chassis import kafka_connection
from services.chassis.kafka import (
    CONSUMER_OPTIONS,
    NO_HURRY_MS,
    PRODUCER_OPTIONS,
    make_admin,
    make_client,
    make_consumer,
    make_producer,
)
from services.chassis.settings import Settings


@pytest.fixture(autouse=True)
def no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks for the versions of a server that says nothing; it knows how to tell of its topics."""

    async def no_versions(connection: AIOKafkaConnection) -> None:
        connection._versions = {MetadataRequest.API_KEY: (1, 5), ProduceRequest.API_KEY: (3, 7)}

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


SILENT = 0.25


@asynccontextmanager
async def connected(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[asyncio.StreamWriter], Awaitable[None]]
) -> AsyncIterator[tuple[AIOKafkaConnection, list[CloseReason]]]:
    """A connection to a broker that answers each request so; it is silent after a quarter of a second."""
    monkeypatch.setattr(kafka_connection, "SILENT_SECONDS", SILENT)
    make_client(Settings())
    closed = list[CloseReason]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await answer(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = await create_conn("127.0.0.1", port, on_close=lambda _, reason: closed.append(reason))
    try:
        yield connection, closed
    finally:
        connection.close()
        server.close()


async def nothing(_: asyncio.StreamWriter) -> None:
    """The connection is forgotten."""


async def test_a_connection_of_which_nothing_is_heard_ends_although_nobody_waits_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected(monkeypatch, nothing) as (connection, closed):
        first = asyncio.create_task(connection.send(MetadataRequest([])))
        await asyncio.sleep(0)
        first.cancel()
        with capture_logs() as told, pytest.raises(KafkaConnectionError, match="closed"):
            async with asyncio.timeout(10):
                await connection.send(MetadataRequest([]))
    assert closed == [CloseReason.CONNECTION_TIMEOUT]
    assert [line["event"] for line in told] == ["nothing is heard of Kafka"]


async def test_an_answer_that_comes_slowly_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = 30

    async def slowly(writer: asyncio.StreamWriter) -> None:
        writer.write(struct.pack(">i", 1000))
        for _ in range(pieces):
            writer.write(b"\0")
            await asyncio.sleep(SILENT / 10)

    async with connected(monkeypatch, slowly) as (connection, closed):
        waits = asyncio.create_task(connection.send(MetadataRequest([])))
        await asyncio.sleep(pieces * SILENT / 10)
        assert (closed, waits.done()) == ([], False)
        await asyncio.wait({waits}, timeout=10)
        assert closed == [CloseReason.CONNECTION_TIMEOUT]


async def test_a_quiet_connection_and_one_that_waits_for_replicas_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected(monkeypatch, nothing) as (connection, closed):
        await asyncio.sleep(3 * SILENT)
        assert closed == []
        produce = ProduceRequest(required_acks=-1, timeout=1, topics=[], transactional_id=None)
        waits = asyncio.create_task(connection.send(produce))
        await asyncio.sleep(3 * SILENT)
        assert (closed, waits.done()) == ([], False)
        waits.cancel()


def test_no_broker_is_asked_to_wait_for_as_long_as_silence_lasts() -> None:
    silent_ms = kafka_connection.SILENT_SECONDS * 1000
    assert max(CONSUMER_OPTIONS["fetch_max_wait_ms"], NO_HURRY_MS) < silent_ms / 2
    assert silent_ms < min(CONSUMER_OPTIONS["request_timeout_ms"], PRODUCER_OPTIONS["request_timeout_ms"])


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has other options")
async def test_the_kernel_looks_after_a_connection_that_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch, nothing) as (connection, _):
        found = connection._writer.transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
