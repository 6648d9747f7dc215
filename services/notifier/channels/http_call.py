"""One HTTP call to a provider, and what its answer says about the message. The first sent byte is the border.

Before it every failure is a refusal; after it everything but a definite answer is a doubt (guarantee 4).
"""

import asyncio
import math
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
from yarl import URL

from services.notifier.channels import Fate, Result

_NO_BYTE_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_MOST_BODY = 64 * 1024
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
    """Calls one provider over pooled connections; every call ends within `timeout_seconds`."""

    def __init__(self, provider: str, timeout_seconds: float, *, keep: bool = True) -> None:
        self.provider = provider
        self._timeout = timeout_seconds
        self._keep = keep
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, **request: Any) -> Answer | Result:
        """The answer, or the fate of a call that got none. `request` is what aiohttp takes."""
        answer: Answer | None = None
        try:
            target = _target(url)
        except ValueError:
            return Result(Fate.REFUSED_FOR_NOW, f"{self.provider}_unreachable", 30)
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._open().post(target, allow_redirects=False, **request) as reply,
            ):
                answer = Answer(reply.status, b"", retry_after(reply.headers.get("retry-after"), _now()))
                return Answer(answer.status, await _beginning(reply), answer.again_after)
        except _NO_BYTE_LEFT:
            return Result(Fate.REFUSED_FOR_NOW, f"{self.provider}_unreachable", 30)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return answer or Result(Fate.IN_DOUBT, f"{self.provider}_{type(error).__name__}")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connect = self._timeout / 2
            self._session = aiohttp.ClientSession(
                # As many connections as calls: how many those may be is for the dispatcher to say.
                connector=aiohttp.TCPConnector(limit=0, force_close=not self._keep, ssl=_trust()),
                # The whole call has the caller's time limit; a second one for each call costs a timer more.
                timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect),
                cookie_jar=aiohttp.DummyCookieJar(),
                json_serialize_bytes=orjson.dumps,
            )
        return self._session

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()


@lru_cache(maxsize=64)
def _target(url: str) -> URL:
    return URL(url, encoded=True)


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


async def _beginning(reply: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < _MOST_BODY and (chunk := await reply.content.read(_MOST_BODY - len(body))):
        body += chunk
    return body


def _now() -> datetime:
    return datetime.now(UTC)
