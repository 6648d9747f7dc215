"""One origin for the browser: paths of the three services, streamed through."""

from collections.abc import AsyncIterator, Mapping

import aiohttp
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from yarl import URL

from services.chassis.http import problem

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "host",
        "content-length",
        "proxy-connection",
    }
)
_LARGEST_BODY = 64 * 1024
_OWNER = (
    ("/r/", "survey"),
    ("/sent", "survey"),
    ("/staff", "survey"),
    ("/cases", "survey"),
    ("/praise", "survey"),
    ("/whiteboard", "survey"),
    ("/comments", "survey"),
    ("/kiosk", "survey"),
    ("/api/v1/", "survey"),
    ("/live", "aggregator"),
    ("/terminals", "aggregator"),
    ("/drivers", "aggregator"),
    ("/quality", "aggregator"),
    ("/api/", "aggregator"),
    ("/ledger", "notifier"),
    ("/outbox/", "notifier"),
    ("/decisions/", "notifier"),
)


class Proxy:
    """Passes requests on to the service that owns their path."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls
        self._session: aiohttp.ClientSession | None = None

    async def pass_on(self, request: Request) -> Response:
        """Pass one request on; 502 while its service is down."""
        path = request.url.path
        owner = next((service for prefix, service in _OWNER if path.startswith(prefix)), None)
        if owner is None:
            return problem(404, "No such page")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_BODY:
                return problem(413, "Too large")
        headers = [(k, v) for k, v in request.headers.items() if k not in _HOP_BY_HOP]
        try:
            reply = await self._client().request(
                request.method, self._target(owner, request), data=body, headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError):
            return problem(502, f"The {owner} is down", "It is started again, or waits for the button to be pressed.")
        response = StreamingResponse(_stream(reply), reply.status)
        # As a list: an answer may set several cookies.
        response.raw_headers = [(k.lower(), v) for k, v in reply.raw_headers if k.lower().decode() not in _HOP_BY_HOP]
        return response

    def _target(self, owner: str, request: Request) -> URL:
        """The same path and query to the letter: written anew, `%2B` would reach the service as a space."""
        path, query = request.scope["raw_path"], request.scope["query_string"]
        return URL(self._urls[owner] + (path + (b"?" + query if query else b"")).decode("latin-1"), encoded=True)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=2)
            self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self._session

    async def close(self) -> None:
        """Let all connections go."""
        if self._session is not None:
            await self._session.close()


async def _stream(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in reply.content.iter_any():
            yield chunk
    except aiohttp.ClientError:
        return  # the service ended in the middle; the browser reconnects
    finally:
        reply.close()
