"""Requests to an ASGI application without a server between."""

import asyncio
import html
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return html.unescape(self.body.decode())

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    parts: Iterable[bytes] = (b"",),
    at_start: Callable[[], Awaitable[None]] | None = None,
) -> Reply:
    """One request, as an ASGI server would hand it over; `at_start` runs before the status line leaves."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers],
    }
    waiting = list(parts)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and at_start is not None:
            await at_start()
        sent.append(message)

    await app(scope, receive, send)
    told = {n.decode(): v.decode() for n, v in sent[0]["headers"]}
    return Reply(sent[0]["status"], told, b"".join(m.get("body", b"") for m in sent[1:]))
