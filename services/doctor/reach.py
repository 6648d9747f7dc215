"""Whether a server can be reached: its name, a connection, its certificate. No word is said to it beyond the handshake.

Each step has a failure of its own, since each is mended by somebody else.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from services.notifier.channels.safe_address import Resolve, by_system

SECONDS: Final = 4.0
"""A server that needs longer for name, connection and handshake together is not there for a sender either."""
_UNTRUSTED: Final = {
    10: "have the certificate renewed, or let this machine's clock follow a time server",
    62: "name the server as its certificate does",
    64: "name the server as its certificate does",
}
"""What to do about OpenSSL's codes: expired, another name, another number."""


class UnreachedError(Exception):
    """A server that cannot be reached.

    Attributes:
        found: at which step, and how.
        do: what to do about it.
    """

    def __init__(self, found: str, do: str) -> None:
        super().__init__(found)
        self.found, self.do = found, do


@dataclass(frozen=True, slots=True)
class Place:
    """A server; `setting` is where an operator wrote it, `name` what its certificate must prove if not `host`."""

    host: str
    port: int
    setting: str
    name: str = ""

    @classmethod
    def of(cls, url: str, setting: str) -> "Place":
        """Where an http or https address leads."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), setting)

    def __str__(self) -> str:
        return f"{self.name or self.host}:{self.port}"


def in_time() -> float:
    """When the steps to a server must be done, in the loop's time."""
    return asyncio.get_running_loop().time() + SECONDS


async def connected(place: Place, deadline: float, resolve: Resolve = by_system) -> socket.socket:
    """A connection to a place, over which nothing was said yet.

    Raises:
        UnreachedError: there is none.
    """
    error: OSError | None = None
    loop = asyncio.get_running_loop()
    numbers = await _numbers(place, deadline, resolve)
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        # A number that swallows all we send must leave time for the next.
        until = loop.time() + (deadline - loop.time()) / left
        try:
            return await _open(number, place.port, until)
        except OSError as refused:
            error = refused
    match error:
        case ConnectionRefusedError():
            do = f"see that it runs, and listens at the port in {place.setting}"
            raise UnreachedError(f"{place} refuses connections", do) from None
        case TimeoutError():
            do = "let this machine out to it: most often a firewall or a network policy drops what is sent"
            raise UnreachedError(f"{place} does not answer", do) from None
    why = type(error).__name__ if error is None or error.strerror is None else error.strerror
    raise UnreachedError(f"there is no way to {place} ({why})", "let this machine out to it") from None


async def _numbers(place: Place, deadline: float, resolve: Resolve) -> list[str]:
    try:
        async with asyncio.timeout_at(deadline):
            return list(await resolve(place.host, place.port))
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise UnreachedError(f"{place.host} cannot be looked up now", "check this machine's DNS") from None
    except TimeoutError:
        raise UnreachedError(f"{place.host} is not looked up in time", "check this machine's DNS") from None
    except UnicodeError:
        pass  # no name at all
    raise UnreachedError(f"{place.host} has no address", f"correct the name in {place.setting}") from None


async def _open(number: str, port: int, until: float) -> socket.socket:
    """A connection to a number.

    Raises:
        OSError: there is none by then.
    """
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = socket.getaddrinfo(
        number, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        async with asyncio.timeout_at(until):
            await loop.sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def proved(connection: socket.socket, place: Place, deadline: float) -> None:
    """Go through the TLS handshake, as far as the server's certificate; then let the connection go.

    Raises:
        UnreachedError: it is not the server of that name, or does not encrypt.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline):
            transport, _ = await loop.create_connection(
                asyncio.Protocol,
                sock=connection,
                ssl=ssl.create_default_context(),
                server_hostname=place.name or place.host,
            )
    except OSError as error:
        raise unproved(error, place) from None
    transport.abort()


def unproved(error: OSError, place: Place) -> UnreachedError:
    """What an end of the handshake means."""
    match error:
        case ssl.SSLCertVerificationError():
            trust = (
                "let this machine trust its authority: in the system's list, or in the file that SSL_CERT_FILE names"
            )
            do = _UNTRUSTED.get(error.verify_code, trust)
            return UnreachedError(f"the certificate of {place} is not trusted: {error.verify_message}", do)
        case TimeoutError():
            found = f"{place} takes the connection and does not answer the TLS handshake"
        case ConnectionError() | ssl.SSLEOFError():
            found = f"{place} hangs up in the TLS handshake"
        case _:
            found = f"{place} does not encrypt"
    return UnreachedError(found, f"check the port in {place.setting}: it must be the one for TLS")


async def reach(place: Place, *, encrypted: bool, resolve: Resolve = by_system) -> None:
    """See that a server is there and, where it encrypts, that it is the one of its name.

    Raises:
        UnreachedError: it is not.
    """
    deadline = in_time()
    connection = await connected(place, deadline, resolve)
    if encrypted:
        await proved(connection, place, deadline)
    else:
        connection.close()
