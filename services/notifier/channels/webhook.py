"""Requests to the carrier's own app, as signed webhooks (Standard Webhooks); the app shows the question itself."""

from datetime import UTC, datetime
from typing import Literal

import orjson
from standardwebhooks.webhooks import Webhook as Signer

from schemas.delivery import ChannelKind
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings
from services.notifier.channels.http_call import Caller
from services.notifier.channels.safe_address import Doorman, UnsafeAddressError, by_system


class WebhookTable(ProviderTable):
    """`adapter = "webhook"`; the signing secret (`whsec_…`) stands in `secret_file`."""

    adapter: Literal["webhook"]
    url: str
    """Where the app's server takes messages."""

    def build(self, surroundings: Surroundings) -> "AppWebhook":  # noqa: ARG002  it needs none
        """The channel."""
        return AppWebhook(self, self.secret(), Doorman(by_system))


class AppWebhook:
    """Hands messages to the app's server. `webhook-id` is our reference: a server that saw it may drop the rest."""

    kinds = frozenset({ChannelKind.APP})

    def __init__(self, table: WebhookTable, secret: str, doorman: Doorman) -> None:
        self._table = table
        self._signer = Signer(secret)
        self._doorman = doorman
        # Connections are not kept: two names at one number must never share one.
        self._caller = Caller(table.name, table.timeout_seconds, keep=False)

    async def send(self, message: Message) -> Result:
        """Hand over, to an address that is judged at every call."""
        name = self._table.name
        try:
            url, pinned = await self._doorman.pinned(self._table.url)
        except UnsafeAddressError as error:
            return Result(Fate.REFUSED_FOR_NOW, f"{name}_{error}", 300)
        except OSError:
            return Result(Fate.REFUSED_FOR_NOW, f"{name}_unreachable", 30)
        body = _body(message)
        at = datetime.now(UTC)
        pinned["headers"] |= {
            "content-type": "application/json",
            "webhook-id": message.reference,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(message.reference, at, body.decode()),
        }
        answer = await self._caller.post(url, body=body, **pinned)
        return answer if isinstance(answer, Result) else answer.fate(name)

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  webhooks are not asked
        """A webhook cannot be asked."""
        return None

    async def close(self) -> None:
        """Let connections go."""
        await self._caller.close()


def _body(message: Message) -> bytes:
    told = {
        "type": "delivery.question",
        "data": {
            "reference": message.reference,
            "recipient": message.address,
            "language": message.language,
            "title": message.subject,
            "text": message.text,
            "link": message.link,
        },
    }
    return orjson.dumps(told)
