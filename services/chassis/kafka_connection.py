"""aiokafka's connection to a broker without two faults that it has no setting for.

From the end of a connection until aiokafka's reader has heard of it uvloop refuses to write, where asyncio's own loop
says nothing. aiokafka expects an OSError there (its issue 1038), so this would end its tasks for good, or our process.
And a client that is cancelled while it starts forgets the connection over which it asked.

Answers come by our own protocol, which is quicker with large ones (`kafka_frames.py`).
"""

import asyncio
import weakref
from collections.abc import Awaitable
from typing import Any

import structlog
from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

from services.chassis.kafka_frames import FrameProtocol

log = structlog.get_logger()


def use_sound_connections() -> None:
    """From now on, every Kafka client of this process connects by ours."""
    conn.AIOKafkaConnection = _Connection
    conn.AIOKafkaProtocol = FrameProtocol


class _Connection(AIOKafkaConnection):  # type: ignore[misc]
    def send(self, request: Any, expect_response: bool = True) -> Any:
        try:
            reply = super().send(request, expect_response)
        except RuntimeError as error:
            if type(error) is not RuntimeError:
                raise  # one that is not implemented is none of a connection
            self.close(CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {error}") from error
        # Only the first connection of a client has nobody to hear of its end.
        return self._reply_or_end(reply) if self._on_close_cb is None else reply

    def _create_reader_task(self) -> "asyncio.Task[None]":
        self._protocol.hand_over(weakref.WeakMethod(self._answered))  # nothing comes before the first request
        task: asyncio.Task[None] = super()._create_reader_task()
        return task

    def _answered(self, answer: bytes) -> bool:
        if not self.connected():
            return False
        try:
            self._handle_frame(answer)
        except Exception as error:  # whatever an answer raises that cannot be read
            log.exception("an answer of Kafka cannot be read, or was not asked for", action="reconnect")
            self.close(CloseReason.CONNECTION_BROKEN, error)
        return True

    async def _reply_or_end(self, reply: Awaitable[Any]) -> Any:
        try:
            return await reply
        except asyncio.CancelledError:
            self.close()
            raise
