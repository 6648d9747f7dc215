"""Who sends a request, as far as the network tells: proxies are believed only as many as are ours."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import Scope

_IPV6_NETWORK = 64  # what one household or server gets; single addresses in it are free to choose
NOBODY = "unknown"


def peer_of(scope: Scope, trusted_proxies: int) -> str:
    """The client's address, for IPv6 its network.

    Each of our proxies appends the address it was called from to `X-Forwarded-For`; what stands further left
    was written by the client (H68). `Forwarded` and all other headers are not believed.
    """
    direct = (scope.get("client") or (NOBODY, 0))[0]
    told = _forwarded(scope["headers"])
    claimed = told[-trusted_proxies] if len(told) >= trusted_proxies > 0 else direct
    return _network(claimed) or _network(direct) or NOBODY


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    lines = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    return [part.strip() for part in ",".join(lines).split(",")] if lines else []


@lru_cache(maxsize=1024)
def _network(address: str) -> str | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if found.version == 4:  # noqa: PLR2004  IPv4
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
