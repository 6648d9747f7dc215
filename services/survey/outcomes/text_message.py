"""Outcome messages as text messages: to the installation's own gateway, as signed webhooks (Standard Webhooks).

The gateway is one address. It knows the provider, the price and the sender's name; we know the number and the words.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import aiohttp
import orjson
from standardwebhooks.webhooks import Webhook as Signer

from services.chassis.segments import segments
from services.survey.outcomes.message import Fate, OutcomeMessage, Result

MOST_PARTS: Final = 6
"""A longer message costs more than a call."""
_NO_BYTE_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_FOR_NOW = frozenset({401, 402, 403, 404, 405, 407, 429})
"""Answers about our set-up or our haste: the person's number is not to blame."""


@dataclass(frozen=True, slots=True)
class TextGateway:
    """Hands each message to the gateway on a connection of its own: they are few, and written by people."""

    url: str
    secret: str
    timeout_seconds: float

    async def send(self, message: OutcomeMessage) -> Result:
        """Hand over. Before a connection stands a failure is a refusal; then all but a definite answer is a doubt."""
        parts = segments(message.text)
        if parts > MOST_PARTS:
            return Result(Fate.WITHHELD, "too_long")
        body = _body(message, parts)
        headers = {"content-type": "application/json", **_signature(self.secret, message.reference, body)}
        try:
            async with (
                asyncio.timeout(self.timeout_seconds),
                self._session() as session,
                session.post(self.url, data=body, headers=headers, allow_redirects=False) as reply,
            ):
                return _fate(reply.status)
        except _NO_BYTE_LEFT:
            return Result(Fate.REFUSED_FOR_NOW, "gateway_unreachable")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Result(Fate.IN_DOUBT, f"gateway_{type(error).__name__}")

    def _session(self) -> aiohttp.ClientSession:
        connect = self.timeout_seconds / 2
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect),
            cookie_jar=aiohttp.DummyCookieJar(),
        )


def _body(message: OutcomeMessage, parts: int) -> bytes:
    data = {
        "reference": message.reference,
        "recipient": message.address,
        "language": message.language,
        "text": message.text,
        "parts": parts,
    }
    return orjson.dumps({"type": "case.outcome", "data": data})


def _signature(secret: str, reference: str, body: bytes) -> dict[str, str]:
    at = datetime.now(UTC)
    return {
        "webhook-id": reference,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Signer(secret).sign(reference, at, body.decode()),
    }


def _fate(status: int) -> Result:
    reason = f"gateway_{status}"
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Result(Fate.ACCEPTED)
    if status in _FOR_NOW or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Result(Fate.REFUSED_FOR_NOW, reason)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Result(Fate.IN_DOUBT, reason)  # it may have been taken before
    return Result(Fate.REFUSED, reason)
