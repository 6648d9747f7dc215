"""Free ports on 127.0.0.1, remembered so that clients find a server again after its restart."""

import random
import socket
from pathlib import Path

from services.embedded.errors import EmbeddedError

# Below the ports that the system lends to outgoing connections: a client that retries while its server is
# down cannot be lent the server's port (it would then talk to itself and keep the server from starting).
_FIRST, _LAST = 20_000, 29_999
_TRIES = 200


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as both servers do
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def free_port() -> int:
    """Pick a port that nobody listens on."""
    for _ in range(_TRIES):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - two starts at once should differ, no more
        if port_is_free(port):
            return port
    raise EmbeddedError(f"No port between {_FIRST} and {_LAST} is free on 127.0.0.1: stop some program there.")


def port_to_keep(port: int, server: str) -> int:
    """The port that clients of the server know, for its next start.

    Raises:
        EmbeddedError: somebody else has it now.
    """
    if not port_is_free(port):
        raise EmbeddedError(
            f"Another program took port {port} while {server} was down: stop that program, then start again."
        )
    return port


def remembered_port(memory: Path) -> int:
    """The port of the last start when it is still free, else another one; remember it in the file."""
    text = memory.read_text() if memory.exists() else ""
    port = int(text) if text.strip().isdigit() else 0
    if not (port and port_is_free(port)):
        port = free_port()
        memory.write_text(f"{port}\n")
    return port
