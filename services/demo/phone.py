"""What a recipient's phone sends: each request again until it is taken, which is safe for all of them."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import aiohttp
from standardwebhooks.webhooks import Webhook

from services.chassis.pauses import pause_or_stop, pauses

_OF_PAGE = re.compile(r'name="(nonce|lang)" value="([^"]+)"')
_OUR_NUMBER = "+46701740690"
T = TypeVar("T")
Ask = Callable[[], AbstractAsyncContextManager[aiohttp.ClientResponse]]
Take = Callable[[aiohttp.ClientResponse], Awaitable[T | None]]
"""What a response says; None: it says nothing yet, and is asked for again."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A recipient's phone, in use until stopped.

    Attributes:
        retries: counts what was not taken, by request and reason.
    """

    session: aiohttp.ClientSession
    stop: asyncio.Event
    retries: Counter[str]

    async def open(self, url: str) -> Mapping[str, str] | None:
        """Open the page, again while the server is away or not that far yet; returns what each tap on it says too."""

        async def of_page(reply: aiohttp.ClientResponse) -> Mapping[str, str] | None:
            found = dict(_OF_PAGE.findall(await reply.text())) if reply.status == 200 else {}
            return found if "nonce" in found else None

        return await self._until("open", lambda: self.session.get(url), of_page)

    async def tap(self, url: str, fields: Mapping[str, str]) -> int | None:
        """Post what was chosen until it is acknowledged; returns the revision that is saved."""

        async def revision(reply: aiohttp.ClientResponse) -> int | None:
            return int((await reply.json())["revision"]) if reply.status == 200 else None

        as_script = {"accept": "application/json"}
        return await self._until("tap", lambda: self.session.post(url, data=fields, headers=as_script), revision)

    async def reply(self, url: str, message: Mapping[str, Any], words: str, gateway: Webhook) -> bool:
        """Reply to a text message; the gateway hands it over, always under one id. Whether it was taken."""
        name = f"reply-{message['id']}"
        told = {"from": message["recipient"], "to": _OUR_NUMBER, "text": words, "reference": name}

        def hand_over() -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
            at = datetime.now(UTC)
            body = json.dumps({**told, "received_at": at.isoformat()})
            signed = {
                "content-type": "application/json",
                "webhook-id": name,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": gateway.sign(name, at, body),
            }
            return self.session.post(url, data=body, headers=signed)

        async def taken(reply: aiohttp.ClientResponse) -> bool | None:
            return reply.status == 202 or None

        return await self._until("reply", hand_over, taken) or False

    async def _until(self, what: str, ask: Ask, take: Take[T]) -> T | None:
        for pause in pauses(first=0.1, longest=2):
            try:
                async with ask() as reply:
                    if (found := await take(reply)) is not None:
                        return found
                    self.retries[f"{what} {reply.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.retries[f"{what} {type(error).__name__}"] += 1
            if await pause_or_stop(pause, self.stop):
                return None
        return None
