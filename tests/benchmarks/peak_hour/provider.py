"""A provider of text messages that takes 20 ms for each call, and the mailbox in which simulated people find them."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_LINK = re.compile(r"https?://\S+/r/[\w-]+")
_LATENCY = 0.02


@dataclass(slots=True)
class Provider:
    """What it has taken, oldest first, in the form of the outbox viewer.

    Attributes:
        port: where it listens.
    """

    port: int
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """A message of ours."""
        told = await request.json()
        link = _LINK.search(told["text"])
        assert link is not None, "a message without a link"
        await asyncio.sleep(_LATENCY)
        self.messages.append(
            {
                "id": len(self.messages) + 1,
                "reference": told["reference"],
                "recipient": told["to"],
                "link": link[0],
            }
        )
        return web.json_response({})

    async def show(self, request: web.Request) -> web.Response:
        """Messages after a number; without one the newest."""
        limit = int(request.query["limit"])
        if "after" not in request.query:
            return web.json_response({"messages": self.messages[-limit:]})
        after = int(request.query["after"])
        return web.json_response({"messages": self.messages[after : after + limit]})


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """It runs until the end of the block."""
    found = Provider(0)
    app = web.Application()
    app.router.add_post("/messages", found.take)
    app.router.add_get("/outbox/messages", found.show)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    found.port = runner.addresses[0][1]
    try:
        yield found
    finally:
        await runner.cleanup()
