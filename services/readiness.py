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
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  asked, not listened on
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


def host_of(environment: Mapping[str, str]) -> str:
    """Where to ask a service that listens here: its own address, or loopback where it listens on all of them."""
    return _LOOPBACK.get(listens := environment.get("KVITTERA_HTTP_HOST", ""), listens)


def is_ready(port: int, host: str = "127.0.0.1") -> bool:
    """Whether the service at this port says that it can do its work."""
    try:
        with socket.create_connection((host, port), _PATIENCE_SECONDS) as connection:
            connection.sendall(_REQUEST)
            return _READY in connection.recv(_ENOUGH).partition(b"\r\n")[0]
    except OSError:
        return False


def main(ports: Iterable[int], host: str = "127.0.0.1") -> int:
    """The exit code: 0 where any of them is ready."""
    return 0 if any(is_ready(port, host) for port in ports) else 1


if __name__ == "__main__":
    sys.exit(main(ports_of(os.environ), host_of(os.environ)))
