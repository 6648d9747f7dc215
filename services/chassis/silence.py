"""A connection whose other side is gone without a word ends by itself, so that who waits for an answer hears of it.

Where a network is cut, or a firewall forgets a connection, nobody closes it: a statement would be waited for as long as
the kernel likes, a quarter of an hour or for ever, and its timeout as well, since cancelling it needs the server.
"""

import asyncio
import socket
from typing import Final

SILENT_SECONDS: Final = 30
_FIRST_LOOK, _LOOKS = 10, 4
_OPTIONS: Final = {
    "TCP_KEEPIDLE": _FIRST_LOOK,
    "TCP_KEEPINTVL": (SILENT_SECONDS - _FIRST_LOOK) // _LOOKS,
    "TCP_KEEPCNT": _LOOKS,
    "TCP_USER_TIMEOUT": SILENT_SECONDS * 1000,  # the same for what was sent and is not taken
}

SERVER_LOOKS: Final = {
    "tcp_keepalives_idle": str(_FIRST_LOOK),
    "tcp_keepalives_interval": str((SILENT_SECONDS - _FIRST_LOOK) // _LOOKS),
    "tcp_keepalives_count": str(_LOOKS),
    "tcp_user_timeout": f"{SILENT_SECONDS}s",
}
"""The same for PostgreSQL's side of a connection: a client that is gone holds its locks for hours otherwise."""


def end_when_silent(transport: asyncio.Transport) -> None:
    """Have the kernel end a connection within half a minute of silence; a server at work answers its looks itself."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is None or found.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        if hasattr(socket, name):  # not every system has each
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
