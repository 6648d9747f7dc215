"""A look at the page of a link, as a message leads to it: answered in the server's fast lane, without a task.

Only the plain case is taken: a link that is known and open, and a page that stands in one statement. Everything
else is the application's (http.py), which looks anew.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from starlette.types import Scope

from services.chassis.failures import Overloaded
from services.chassis.http_protocol import Headers, Lane, Reply, Whole
from services.chassis.metrics import Metrics
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Page
from services.survey.answers.responses import token_hash
from services.survey.languages import choose_language, first_language
from services.survey.recipient.suspicion import RecentLooks
from services.survey.recipient.views import Views, face_of_link

_URL = re.compile(rb"/r/([A-Za-z0-9_-]{22})(?:\?s=([0-9]))?")


@dataclass(frozen=True, slots=True)
class PlainLook:
    """Shows pages; `lets_look` says whether a client may look now, `headers` go with each page."""

    answers: Answers
    views: Views
    headers: Mapping[str, str]
    looks: RecentLooks
    metrics: Metrics
    lets_look: Callable[[Scope], bool]
    _head: bytes = field(init=False)

    def __post_init__(self) -> None:
        lines = [f"{name.lower()}: {value}\r\n" for name, value in self.headers.items()]
        head = f"HTTP/1.1 200 OK\r\n{''.join(lines)}content-type: text/html; charset=utf-8\r\ncontent-length: "
        object.__setattr__(self, "_head", head.encode())

    def lane(self) -> Lane:
        """For the HTTP server."""
        return Lane(b"GET", b"/r/", self._take)

    def _take(self, request: Whole, reply: Reply) -> bool:
        found = _URL.fullmatch(request.url)
        if found is None or request.body:
            return False
        if not self.lets_look({"client": request.client, "headers": request.headers}):
            return False
        token = found[1].decode()
        face = None if found[2] is None else found[2].decode()
        link = token_hash(token)
        try:
            page = self.answers.page_for(link)
        except Overloaded:
            return False
        page.add_done_callback(partial(self._tell, reply, link, token, face, _accepted(request.headers)))
        return True

    def _tell(
        self, reply: Reply, link: bytes, token: str, face: str | None, accepted: str, page: asyncio.Future[Page | None]
    ) -> None:
        try:
            response = self._response(page.result(), link, token, face, accepted)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001  the application meets it too, and says what it is
            response = None
        reply(response)

    def _response(self, page: Page | None, link: bytes, token: str, face: str | None, accepted: str) -> bytes | None:
        if page is None or not page.open or page.contested:
            return None
        choice = choose_language(page.language, accepted)
        if choice.instead_of:
            return None
        self.looks.note(link, face_of_link(face))
        state, body = self.views.show(page, token, choice.language, {} if face is None else {"s": face})
        self.metrics.count("kvittera_pages_total", state=state)
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)


def _accepted(headers: Headers) -> str:
    """As the application reads it."""
    return first_language(next((value.decode("latin-1") for name, value in headers if name == b"accept-language"), ""))
