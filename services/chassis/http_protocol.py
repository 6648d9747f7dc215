"""uvicorn's HTTP/1.1 protocol with three things of our own: patience that ends, fast lanes, and one `Host`.

Without a limit of its own the server would hold a connection for ever whose request never ends (hazard H69).
One look at all connections every second costs less than a timer for each request.
"""

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Headers = Sequence[tuple[bytes, bytes]]
"""As they came; names are in lower case."""
Reply = Callable[[bytes | None], None]
"""Called once with the whole response, status line included; None hands the request to the application."""

_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")  # what RFC 3986 lets a host and a port be written with
_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
    b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
)
_ONE_HOST = "HTTP/1.1 asks for one Host line with a name in it"


class Whole(NamedTuple):
    """A whole request; `url` is path and query, `client` who sent it, as far as the connection tells."""

    url: bytes
    headers: Headers
    body: bytes
    client: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """Takes whole requests of one method under a path before they become a task of the application.

    `take` gets the request and a `Reply`; it returns False, at once, for what it leaves to the application. The
    lane sees nothing that is longer than one read or comes in an unusual way.
    """

    method: bytes
    path: bytes
    take: Callable[[Whole, Reply], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for a request's head, for all of it, and between two; bytes for the head."""

    head_seconds: float = 9.0
    request_seconds: float = 20.0
    idle_seconds: float = 5.0
    head_bytes: int = 32 * 1024


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, limits: Limits, lanes: Sequence[Lane], **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._lanes = lanes
        self._lane: Lane | None = None
        self._deadline = math.inf
        self._in_head = True
        self._head_bytes = 0
        self._held: bytearray | None = None  # the body of a request that the lane may take
        self._whole = False
        self._answering = False
        self._later = bytearray()
        self._shut = False
        self._fault = ""

    def close_if_late(self, now: float) -> None:
        """Close a connection whose request does not end, or that has none for too long."""
        if now <= self._deadline:
            return
        reads_slowly = self.transport.get_write_buffer_size() > 0
        if not reads_slowly or now > self._deadline + self._limits.request_seconds:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came; its first request must come soon."""
        self._deadline = self.loop.time() + self._limits.head_seconds
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came; while the lane answers they wait."""
        if self._answering:
            self._later += data
            if len(self._later) > self._limits.head_bytes:
                self.transport.abort()
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self.transport.abort()
        elif self._held is not None and not self.transport.is_closing():
            self._offer()

    def shutdown(self) -> None:
        """Close, but not before a request under way has its reply."""
        if self._answering:
            self._shut = True
        else:
            super().shutdown()

    # -- what the parser tells --

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._held is not None and self._whole and self._lane is not None and self._lane.method == b"GET":
            self._hand_back()
        if self._held is not None:
            raise ValueError("two requests at once")  # the parser turns it into 400; nothing was taken
        self._deadline = self.loop.time() + self._limits.head_seconds
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole: the lane or the application gets it."""
        self._in_head = False
        if not self._names_its_host():
            self._fault = _ONE_HOST
            raise ValueError(_ONE_HOST)  # the parser turns it into 400
        self._lane = self._suiting_lane()
        if self._lane is not None:
            self._held, self._whole = bytearray(), False
        else:
            self._deadline = self.loop.time() + self._limits.request_seconds
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body came."""
        if self._held is not None:
            self._held += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._deadline = math.inf
        if self._held is not None:
            self._whole = True
        else:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, as everything else is refused: with a problem document (RFC 9457)."""
        about = {"type": "about:blank", "title": msg, "status": 400, **({"detail": self._fault} if self._fault else {})}
        body = orjson.dumps(about)
        self.transport.write(_REFUSAL % len(body) + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: uvicorn would tell operators, as often as a stranger asks, to install what we do without."""

    def _names_its_host(self) -> bool:
        """As RFC 9112 asks (3.2): nothing here reads it, but of two proxies before us each may read another one."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return self.parser.get_http_version() == "1.0"
        return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None

    # -- the lane --

    def _suiting_lane(self) -> Lane | None:
        method = self.parser.get_method()
        for lane in self._lanes:
            if method == lane.method and self.url.startswith(lane.path):
                return lane if self._is_plain() else None
        return None

    def _is_plain(self) -> bool:
        return (
            not self.expect_100_continue
            and not self.flow.write_paused
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and (self.cycle is None or self.cycle.response_complete)  # type: ignore[redundant-expr]
        )

    def _offer(self) -> None:
        assert self._lane is not None
        assert self._held is not None
        self._answering = self._whole
        request = Whole(self.url, self.headers, bytes(self._held), self.client)
        if not self._whole or not self._lane.take(request, self._reply):
            self._hand_back()

    def _hand_back(self) -> None:
        """Go on as uvicorn does: the application reads the body, now or as it comes."""
        body, self._held, self._answering = self._held, None, False
        self._deadline = math.inf if self._whole else self.loop.time() + self._limits.request_seconds
        super().on_headers_complete()
        if body:
            super().on_body(bytes(body))
        if self._whole:
            super().on_message_complete()

    def _reply(self, response: bytes | None) -> None:
        if self.transport.is_closing():
            return
        if response is None:
            self._hand_back()
        else:
            self._held, self._answering = None, False
            self._deadline = self.loop.time() + self._limits.idle_seconds
            self.transport.write(response)
        if self._shut:
            self.shutdown()
        elif self._later:
            data, self._later = bytes(self._later), bytearray()
            self.data_received(data)
