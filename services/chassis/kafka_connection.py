"""aiokafka's connection to a broker without three faults that it has no setting for.

From the end of a connection until aiokafka's reader has heard of it uvloop refuses to write, where asyncio's own loop
says nothing. aiokafka expects an OSError there (its issue 1038), so this would end its tasks for good, or our process.
And a client that is cancelled while it starts forgets the connection over which it asked.

Where a network forgets a connection, aiokafka ends it only for a request that was waited for to the end, which takes
half a minute. Whoever stops waiting earlier, or asks where topics are led, leaves it to the next one, who waits as
long again. Here a connection ends by itself once a broker owes an answer and nothing is heard of it for ten seconds.

Answers come by our own protocol, which is quicker with large ones (`kafka_frames.py`).
"""

import asyncio
import weakref
from collections.abc import Awaitable
from typing import Any, Final

import structlog
from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from services.chassis.kafka_frames import FrameProtocol
from services.chassis.silence import end_when_silent

log = structlog.get_logger()

SILENT_SECONDS: Final = 10.0
"""As long as a group waits for a sign of a member: who owes an answer for longer is away, or its connection is."""
_LOOKS: Final = 5
_AT_ONCE: Final = frozenset(
    kind.API_KEY
    for kind in (
        ApiVersionRequest,
        FetchRequest,
        FindCoordinatorRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        MetadataRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        OffsetRequest,
    )
)
"""What a broker answers at once, or within a wait that is much shorter. Others wait for members, or for replicas."""


def use_sound_connections() -> None:
    """From now on, every Kafka client of this process connects by ours."""
    conn.AIOKafkaConnection = _Connection
    conn.AIOKafkaProtocol = FrameProtocol


class _Connection(AIOKafkaConnection):  # type: ignore[misc]
    _seen: tuple[int, int] | None = None
    _unchanged = 0

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
        end_when_silent(self._writer.transport)  # the kernel's looks keep a quiet one from being forgotten
        self._loop.call_later(SILENT_SECONDS / _LOOKS, _look_for_silence, weakref.ref(self))
        return task

    def is_silent(self) -> bool:
        """Whether an answer is owed, and nothing was heard since it was looked so for `SILENT_SECONDS`."""
        seen = self._owed()
        self._unchanged = self._unchanged + 1 if seen is not None and seen == self._seen else 0
        self._seen = seen
        return self._unchanged >= _LOOKS

    def _owed(self) -> tuple[int, int] | None:
        """Which answer is the next, where it should come at once, and how much came until now."""
        if not self._requests:
            return None
        number, request, _ = self._requests[0]
        if request is None:  # a step of the log-in
            return 0, self._protocol.heard
        return (number, self._protocol.heard) if request.API_KEY in _AT_ONCE else None

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


def _look_for_silence(of: "weakref.ReferenceType[_Connection]") -> None:
    connection = of()
    if connection is None or not connection.connected():
        return
    if connection.is_silent():
        # Looks are counted, not seconds: a process that stood still itself has heard nothing, and ends nothing.
        log.warning("nothing is heard of Kafka", action="reconnect", broker=f"{connection.host}:{connection.port}")
        connection.close(CloseReason.CONNECTION_TIMEOUT)
        return
    connection._loop.call_later(SILENT_SECONDS / _LOOKS, _look_for_silence, of)  # noqa: SLF001
