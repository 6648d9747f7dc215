"""What tests of the doctor's looks at other servers share."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.chassis.settings import Settings

Secured = Callable[..., ssl.SSLContext]
"""Makes a server's side of encryption."""
SETTINGS = Settings(sealing_key="5e" * 32)
SETTING = "provider post of KVITTERA_PROVIDERS_FILE"


@asynccontextmanager
async def talking(*replies: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that says its replies, one at first and one to each line, then hangs up; its port and those lines."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(replies):
            if number:
                heard.append(await reader.readline())
            writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()
