"""The first tap on a face, as the page's own script posts it: answered in the server's fast lane, without a task.

Only the plain case is taken. Everything else, and every tap that is not kept, is the application's (http.py),
which knows how to refuse.
"""

import asyncio
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from services.chassis.failures import Overloaded
from services.chassis.http_protocol import Headers, Lane, Reply, Whole
from services.chassis.traces import Traces
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Circumstances, Recorded
from services.survey.answers.responses import Answer, attempt, token_hash
from services.survey.conditions import KEY, etag
from services.survey.languages import LANGUAGES
from services.survey.recipient.forms import HONEYPOT
from services.survey.recipient.post_spans import tell_post

_PATH = re.compile(rb"/r/([A-Za-z0-9_-]{22})")
_FORM = re.compile(rb"nonce=([A-Za-z0-9_-]{1,64})&lang=([a-z]{2})(?:&%s=)?&score=([1-5])" % HONEYPOT.encode())
"""As the page's script posts it; nothing in it is escaped, so there is nothing to decode."""
_ANSWERS = {
    (score, language.encode()): Answer(score=int(score), language=language)
    for score in (b"1", b"2", b"3", b"4", b"5")
    for language in LANGUAGES
}


class Tap(NamedTuple):
    """A face that was tapped; `key` is the Idempotency-Key."""

    token: str
    nonce: str
    answer: Answer
    key: str | None


def read_tap(path: bytes, headers: Headers, body: bytes) -> Tap | None:
    """The tap in a POST, or None for any that is not the plain case."""
    found, said = _PATH.fullmatch(path), _FORM.fullmatch(body)
    told = dict(headers)
    if found is None or said is None or len(told) < len(headers) or not _suits(told):
        return None
    nonce, language, score = said.groups()
    answer = _ANSWERS.get((score, language))
    if answer is None:
        return None
    key = told.get(b"idempotency-key")
    return Tap(found[1].decode(), nonce.decode(), answer, None if key is None else key.decode("latin-1"))


def _suits(told: dict[bytes, bytes]) -> bool:
    return (
        b"application/json" in told.get(b"accept", b"")
        and told.get(b"content-type", b"").partition(b";")[0] == b"application/x-www-form-urlencoded"
        and b"content-length" in told
        and b"if-match" not in told
        and KEY.fullmatch(told.get(b"idempotency-key", b"-").decode("latin-1")) is not None
    )


@dataclass(frozen=True, slots=True)
class FirstTap:
    """Keeps taps; `nonce` makes what a form of a link carries."""

    answers: Answers
    nonce: Callable[[str], str]

    def lane(self) -> Lane:
        """For the HTTP server."""
        return Lane(b"POST", b"/r/", self._take)

    def _take(self, request: Whole, reply: Reply) -> bool:
        tap = read_tap(request.url, request.headers, request.body)
        if tap is None or not hmac.compare_digest(tap.nonce, self.nonce(tap.token)):
            return False
        began = time.time_ns()
        how = Circumstances(attempt=None if tap.key is None else attempt(tap.key, request.body))
        try:
            recorded = self.answers.record_for(token_hash(tap.token), tap.answer, channel="web", how=how)
        except Overloaded:
            return False
        recorded.add_done_callback(partial(_tell, reply, self.answers.traces, began))
        return True


def _tell(reply: Reply, traces: Traces, began: int, recorded: asyncio.Future[Recorded]) -> None:
    # What was not kept is posted again by the application, which is safe and words the refusal.
    failed = recorded.cancelled() or recorded.exception() is not None
    revision = None if failed else recorded.result().kept
    reply(None if revision is None else _saved(revision))
    if revision is not None:
        tell_post(traces, recorded.result(), began)


@lru_cache(maxsize=64)
def _saved(revision: int) -> bytes:
    """The same reply that the application gives."""
    body = b'{"revision":%d}' % revision
    head = (
        f"HTTP/1.1 200 OK\r\nx-content-type-options: nosniff\r\ncache-control: no-store\r\netag: {etag(revision)}\r\n"
        f"content-length: {len(body)}\r\ncontent-type: application/json\r\n\r\n"
    )
    return head.encode() + body
