"""Who opens many links that do not exist is guessing, and is not answered for a while (row 2 of docs/security.md).

Only looking is limited: an answer needs the nonce of a page that was shown, so a valid answer is never refused here.
A post without that nonce is answered with a page, and is a look like any other (http.py).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.peers import peer_of

UNSUBSCRIBE = "/unsubscribe"
"""How the address ends that is behind the hot path."""
_MOST_PEERS = 10_000


@dataclass(slots=True)
class Guesses:
    """A bucket of misses for each peer: full at `most`, it leaks `most` a minute. Memory is bounded.

    Only peers that missed have one; the ones that missed longest ago are forgotten first.
    """

    most: int
    _missed: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def may_look(self, peer: str, now: float) -> bool:
        """Whether a peer's next look is answered; `now` in seconds."""
        return self._level(peer, now) <= self.most - 1

    def miss(self, peer: str, now: float) -> None:
        """A peer looked at a link that does not exist."""
        self._missed[peer] = (self._level(peer, now) + 1, now)
        self._missed.move_to_end(peer)
        if len(self._missed) > _MOST_PEERS:
            self._missed.popitem(last=False)

    def _level(self, peer: str, now: float) -> float:
        level, at = self._missed.get(peer, (0.0, now))
        return max(0.0, level - (now - at) * self.most / 60)


@dataclass(frozen=True, slots=True)
class Guessing:
    """Who guesses, told by where a request comes from; `seconds` is a clock that never goes back."""

    guesses: Guesses
    trusted_proxies: int
    seconds: Callable[[], float]

    def lets_look(self, scope: Scope) -> bool:
        """Whether a look of this client is answered now."""
        return self.guesses.may_look(self._peer(scope), self.seconds())

    def missed(self, scope: Scope) -> None:
        """This client looked at a link that does not exist."""
        self.guesses.miss(self._peer(scope), self.seconds())

    def _peer(self, scope: Scope) -> str:
        return peer_of(scope, self.trusted_proxies)


@dataclass(frozen=True, slots=True)
class GuessLimit:
    """In front of the survey's pages: counts looks that end in 404, and answers 429 when there were too many.

    Unsubscribing needs no page, so a wrong link counts there too; but nobody who unsubscribes is refused.
    """

    app: ASGIApp
    guessing: Guessing
    too_many: Callable[[HTTPConnection], Response]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is one guess too many."""
        if scope["type"] != "http" or not scope["path"].startswith("/r/"):
            await self.app(scope, receive, send)
            return
        looks = scope["method"] in {"GET", "HEAD"}
        if looks and not self.guessing.lets_look(scope):
            await self.too_many(HTTPConnection(scope))(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 404:  # noqa: PLR2004
                self.guessing.missed(scope)
            await send(message)

        watching = looks or scope["path"].endswith(UNSUBSCRIBE)
        await self.app(scope, receive, watched if watching else send)
