"""Encryption in front of a PostgreSQL that was built without it, as a proxy of the field does it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_WANTS_TLS = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""PostgreSQL's SSLRequest: eight bytes, code 80877103."""


@asynccontextmanager
async def encrypting(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port that speaks PostgreSQL's protocol over TLS only, and passes what it opens on to `port`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(len(_WANTS_TLS)) != _WANTS_TLS:
            writer.close()  # whoever does not ask for encryption gets nothing
            return
        writer.write(b"S")
        await writer.drain()
        try:
            await writer.start_tls(context)
        except (OSError, ssl.SSLError):
            return
        behind, to_behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, to_behind), _pass_on(behind, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        writer.close()
