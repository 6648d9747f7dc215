"""A TCP line of the test's own to a server on this machine, which can be cut: nothing goes through, and nobody is told.

What was on its way when it was cut arrives once it is whole again, as a network that sends again brings it. Where
something in between has forgotten the connections, it never does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 1 << 16


@dataclass(slots=True)
class Line:
    """A port that passes everything on to another one, both ways.

    Attributes:
        port: where it listens on 127.0.0.1.
        to: where it leads.
    """

    to: int
    port: int = 0
    _whole: asyncio.Event = field(default_factory=asyncio.Event)
    _forgotten: asyncio.Event = field(default_factory=asyncio.Event)
    _calls: set[asyncio.Task[None]] = field(default_factory=set)
    _servers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Let nothing through from now on. New connections get no word either."""
        self._whole.clear()

    def heal(self) -> None:
        """Let everything through again."""
        self._whole.set()

    def forget(self, *, server_knows: bool) -> None:
        """Let nothing more through of what is connected now; the server may find out by itself, the client may not."""
        self._forgotten.set()
        self._forgotten = asyncio.Event()
        if server_knows:
            for server in self._servers:
                server.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one client and the server say to each other."""
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        forgotten, server = self._forgotten, None
        try:
            await self._whole.wait()
            back, server = await asyncio.open_connection("127.0.0.1", self.to)
            self._servers.add(server)
            await asyncio.gather(self._pass_on(reader, server, forgotten), self._pass_on(back, writer, forgotten))
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone, or `end` hangs up
        finally:
            for end in (writer, server):
                if end is not None:
                    end.transport.abort()
                    self._servers.discard(end)
            self._calls.discard(call)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, forgotten: asyncio.Event
    ) -> None:
        data = b"?"
        while data:
            try:
                data = await reader.read(_PIECE)
            except OSError:
                data = b""
            await self._whole.wait()  # the end of a connection is not heard of either
            if forgotten.is_set():
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    async def end(self) -> None:
        """Hang up."""
        for call in [*self._calls]:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


@asynccontextmanager
async def line(to: int) -> AsyncIterator[Line]:
    """A whole line to a port."""
    found = Line(to)
    found.heal()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await found.end()
