"""One HTTP call to a provider, and what its answer says about the message. The first sent byte is the border.

Before it every failure is a refusal; after it everything but a definite answer is a doubt (guarantee 4).
"""

import math
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from services.notifier.channels import Fate, Result
from services.notifier.channels.http_connections import BrokenError, Connections, Place, UnreachableError

_FORM = "application/x-www-form-urlencoded"
_BREAKS = re.compile(r"[\r\n\0]").search
_LONGEST_WAIT = 3600.0
_WAIT_WHEN_BUSY = 60.0
_WAIT_FOR_OUR_ACCOUNT = 300.0
_OUR_ACCOUNT = frozenset({401, 402, 403, 404, 405, 407})
"""Answers about our account or set-up: the recipient's address is not to blame, so the message waits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answered; `again_after` in seconds, 0 where it did not say."""

    status: int
    body: bytes
    again_after: float = 0.0

    def told(self) -> Mapping[str, Any]:
        """The JSON object in the body; an empty one where it holds none."""
        try:
            told = orjson.loads(self.body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    def fate(self, provider: str, *, refused_for_now: Collection[int] = ()) -> Result:
        """What the status says by itself; `refused_for_now` names further ones that promise nothing was taken."""
        reason = f"{provider}_{self.status}"
        if HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES:
            return Result(Fate.ACCEPTED)
        if self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status in refused_for_now:
            return Result(Fate.REFUSED_FOR_NOW, reason, self.again_after or _WAIT_WHEN_BUSY)
        if self.status in _OUR_ACCOUNT or HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST:
            return Result(Fate.REFUSED_FOR_NOW, reason, self.again_after or _WAIT_FOR_OUR_ACCOUNT)
        if HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            doubtful = self.status == HTTPStatus.REQUEST_TIMEOUT
            return Result(Fate.IN_DOUBT if doubtful else Fate.REFUSED, reason)
        return Result(Fate.IN_DOUBT, reason)  # a 5xx may come after the message was taken


class Caller:
    """Calls one provider over kept connections; every call ends within `timeout_seconds`."""

    def __init__(self, provider: str, timeout_seconds: float, *, keep: bool = True) -> None:
        self.provider = provider
        self._timeout = timeout_seconds
        self._connections = Connections(keep=keep)
        _trust()  # now, and not while the first message waits

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        body: bytes = b"",
        server_hostname: str | None = None,
    ) -> Answer | Result:
        """The answer, or the fate of a call that got none: what is posted is `json`, a `form`, or a typed `body`.

        `server_hostname` is the name that the certificate must prove, where the address holds a number.
        """
        if form is not None:
            body, headers = urlencode(form).encode(), {"Content-Type": _FORM, **headers}
        elif json is not None:
            body, headers = orjson.dumps(json), {"Content-Type": "application/json", **headers}
        try:
            target = _target(url)
            request = _written(target, headers, body)
        except ValueError:
            return self._unreachable()
        place = Place(target.host, target.port, server_hostname or target.host, _trust() if target.tls else None)
        try:
            reply = await self._connections.exchange(place, request, self._timeout)
        except UnreachableError:
            return self._unreachable()
        except BrokenError as error:
            return Result(Fate.IN_DOUBT, f"{self.provider}_{error}")
        return Answer(reply.status, reply.body, retry_after(reply.retry_after, _now()) if reply.retry_after else 0.0)

    def _unreachable(self) -> Result:
        return Result(Fate.REFUSED_FOR_NOW, f"{self.provider}_unreachable", 30)

    async def close(self) -> None:
        """Let connections go."""
        self._connections.close()


class _Target(NamedTuple):
    host: str
    port: int
    tls: bool
    head: str
    netloc: str


@lru_cache(maxsize=64)
def _target(url: str) -> _Target:
    parts = URL(url, encoded=True)
    if parts.raw_host is None or parts.port is None or parts.scheme not in {"http", "https"}:
        raise ValueError("no address of a server")
    head = f"POST {parts.raw_path_qs} HTTP/1.1\r\nUser-Agent: kvittera\r\nAccept: */*\r\n"
    if parts.user is not None:
        head += f"Authorization: {aiohttp.encode_basic_auth(parts.user, parts.password or '')}\r\n"
    return _Target(parts.raw_host, parts.port, parts.scheme == "https", head, parts.raw_authority.rpartition("@")[2])


def _written(target: _Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request's bytes.

    Raises:
        ValueError: a header would be two.
    """
    named = headers if "Host" in headers else {"Host": target.netloc, **headers}
    if any(_BREAKS(name) or _BREAKS(value) for name, value in named.items()):
        raise ValueError("a line break in a header")
    lines = "".join([f"{name}: {value}\r\n" for name, value in named.items()])
    return f"{target.head}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


@cache
def _trust() -> ssl.SSLContext:
    """The machine's own authorities; reading them takes longer than everything else here."""
    return ssl.create_default_context()


def retry_after(header: str | None, now: datetime) -> float:
    """Seconds that a `Retry-After` asks for, in either of its two forms; at most an hour, 0 for none."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except ValueError:
            return 0.0
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else 0.0


def _now() -> datetime:
    return datetime.now(UTC)
