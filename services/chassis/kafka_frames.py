"""Answers of a broker as they come from the socket: into memory of their size, and copied from there once.

aiokafka reads through asyncio's streams: each piece becomes an object, is put behind the others in memory that grows
by eighths, and is copied out again. What is fetched while behind is 48 MiB at once.
"""

import asyncio
import struct
import weakref
from collections.abc import Callable
from typing import Any, Final

from aiokafka.conn import AIOKafkaProtocol

_SIZE = struct.Struct(">i")
_ROOM: Final = 64 * 1024
_MOST: Final = 256 * 1024 * 1024
"""More than a broker answers at once, and less than what the first bytes of HTTP or TLS would announce."""


class FrameProtocol(asyncio.BufferedProtocol):
    """Takes the place of aiokafka's protocol; its reader only hears of the end of the connection.

    Attributes:
        heard: bytes that came until now.
    """

    def __init__(self, closed: "asyncio.Future[None]", reader: asyncio.StreamReader, loop: Any) -> None:
        self._stream = AIOKafkaProtocol(closed, reader, loop=loop)
        self._buffer = bytearray(_ROOM)
        self._filled = 0
        self.heard = 0
        self._is_over = False
        self._take: Callable[[], Callable[[bytes], bool] | None] = lambda: None

    def hand_over(self, take: "weakref.WeakMethod[Callable[[bytes], bool]]") -> None:
        """Give each answer to a method that is not kept alive for that; where it says no, nobody wants the rest."""
        self._take = take

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Hand over what is complete, and make room for what is not.

        Raises:
            ConnectionAbortedError: this is no broker.
        """
        self.heard += nbytes
        if self._is_over:
            return
        self._filled += nbytes
        begin, filled, needed = 0, memoryview(self._buffer)[: self._filled], _ROOM
        while len(filled) - begin >= _SIZE.size:
            (size,) = _SIZE.unpack_from(filled, begin)
            if not 0 <= size <= _MOST:
                raise ConnectionAbortedError(f"an answer of {size} bytes: this is no Kafka broker")
            end = begin + _SIZE.size + size
            if end > len(filled):
                needed = max(end - begin, _ROOM)
                break
            take = self._take()
            if take is None or not take(bytes(filled[begin + _SIZE.size : end])):
                self._is_over, begin = True, len(filled)
                break
            begin = end
        self._keep(filled[begin:], needed)

    def _keep(self, rest: memoryview, needed: int) -> None:
        if len(self._buffer) != needed or len(rest) != self._filled:
            room = self._buffer if len(self._buffer) == needed else bytearray(needed)
            room[: len(rest)] = bytes(rest)
            self._buffer, self._filled = room, len(rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As aiokafka's."""
        self._stream.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """As aiokafka's."""
        self._stream.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """As aiokafka's."""
        return bool(self._stream.eof_received())

    def pause_writing(self) -> None:
        """As aiokafka's."""
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """As aiokafka's."""
        self._stream.resume_writing()
