"""Calling an address that somebody else gave: resolved once, judged, and called by exactly what was judged.

The name is resolved here and the request goes to that number, with the name in `Host` and in the TLS
handshake, so an answer of the DNS that changes between check and call changes nothing (security row 19).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_PORTS = frozenset({443, 8443})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class UnsafeAddressError(ValueError):
    """An address that must not be called; the text is a reason code."""


@dataclass(frozen=True, slots=True)
class Doorman:
    """Judges addresses.

    Attributes:
        allow: numbers that may be called besides public ones (tests, a network of our own).
        ports: ports that may be called.
        schemes: https, and nothing else outside tests.
    """

    resolve: Resolve
    allow: Callable[[Address], bool] = lambda _: False
    ports: Callable[[int], bool] = _PORTS.__contains__
    schemes: frozenset[str] = frozenset({"https"})

    async def pinned(self, url: str) -> tuple[str, dict[str, Any]]:
        """The address with the number in place of the name, and what the call needs besides.

        Raises:
            UnsafeAddressError: it must not be called.
            OSError: the name cannot be resolved now.
        """
        try:
            parts = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError, TypeError):
            raise UnsafeAddressError("address_unreadable") from None
        if parts.scheme not in self.schemes or not parts.host:
            raise UnsafeAddressError("address_scheme")
        if parts.userinfo:
            raise UnsafeAddressError("address_userinfo")
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
        if not self.ports(port):
            raise UnsafeAddressError("address_port")
        numbers = await self.resolve(parts.host, port)
        # All of them: one public number must not vouch for a private one beside it.
        if not numbers or not all(self._may_call(n) for n in numbers):
            raise UnsafeAddressError("address_not_public")
        host = parts.netloc.decode("ascii").rpartition("@")[2]
        return str(parts.copy_with(host=numbers[0])), {
            "headers": {"Host": host},
            "server_hostname": parts.raw_host.decode("ascii").strip("[]"),
        }

    def _may_call(self, number: str) -> bool:
        try:
            address = embedded(ipaddress.ip_address(number.partition("%")[0]))
        except ValueError:
            return False
        return (address.is_global and not address.is_multicast) or self.allow(address)


def embedded(address: Address) -> Address:
    """The IPv4 number that an IPv6 one leads to, where it does (mapped, 6to4, NAT64); else the number itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


async def by_system(host: str, port: int) -> list[str]:
    """Every number that the system knows for a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))
