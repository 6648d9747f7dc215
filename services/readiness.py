"""`python -m services.readiness`: the health check of the image. Exits 0 when the service here can do its work.

Needs the standard library alone: it runs every few seconds beside every service, and importing the commands would
take most of a second of a core each time.
"""

import os
import socket
import sys
from collections.abc import Iterable, Mapping

DEFAULT_PORTS = {"notifier": 8601, "survey": 8602, "aggregator": 8603}
"""As services/chassis/settings.py has them."""
_PATIENCE_SECONDS = 3.0
_REQUEST = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_READY = b" 200 "
_ENOUGH = 64
"""The status line is no longer."""


def ports_of(environment: Mapping[str, str]) -> list[int]:
    """Where the services answer on this machine.

    Raises:
        ValueError: a port is not a number.
    """
    return [int(environment.get(f"KVITTERA_{name.upper()}_PORT", port)) for name, port in DEFAULT_PORTS.items()]


def is_ready(port: int) -> bool:
    """Whether the service at this port says that it can do its work."""
    try:
        with socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS) as connection:
            connection.sendall(_REQUEST)
            return _READY in connection.recv(_ENOUGH).partition(b"\r\n")[0]
    except OSError:
        return False


def main(ports: Iterable[int]) -> int:
    """The exit code: 0 where any of them is ready."""
    return 0 if any(is_ready(port) for port in ports) else 1


if __name__ == "__main__":
    sys.exit(main(ports_of(os.environ)))
