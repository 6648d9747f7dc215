"""Where a request of a browser comes from, and where an answer may send it."""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from services.chassis.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OUR_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,500}")


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, as browsers write an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reached_from_here_only(settings: Settings) -> bool:
    """Whether nobody but this machine reaches what the services serve."""
    return settings.http_published_on_loopback or is_loopback(settings.http_host)


def comes_from_our_pages(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a browser says that one of our own pages made this request (row 6 of docs/security.md).

    `Sec-Fetch-Site` cannot be set by pages and is sent where `Origin` is `null` because of a referrer policy.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin", "").lower() == origin


def path_of_ours(wanted: str | None, otherwise: str) -> str:
    """Where to go on after the sign-in: `wanted` if it is a plain path of this site (row 17)."""
    return wanted if wanted is not None and _OUR_PATH.fullmatch(wanted) else otherwise
