"""Rows 2 and 9: who tries links is told nothing and soon not answered, whatever headers it sends."""

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from services.chassis.peers import peer_of
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.recipient.guesses import _MOST_PEERS, Guesses, Guessing, GuessLimit
from tests.asgi import Reply, ask
from tests.survey_app import invite, post, survey

pytestmark = pytest.mark.service("survey")


@dataclass
class Survey:
    """Knows one link; everything else is 404."""

    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        known = scope["path"] == "/r/known" or (scope["method"] == "POST" and "/unsubscribe" not in scope["path"])
        await PlainTextResponse("page" if known else "unknown", 200 if known else 404)(scope, receive, send)


@dataclass
class Seconds:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def limited(seconds: Seconds, *, trusted_proxies: int = 0, most: int = 5) -> GuessLimit:
    guessing = Guessing(Guesses(most), trusted_proxies, seconds)
    return GuessLimit(Survey(), guessing, lambda _: Response("later", 429))


async def look(
    app: GuessLimit, path: str = "/r/x", method: str = "GET", peer: str = "192.0.2.1", **headers: str
) -> int:
    async def from_peer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": (peer, 1)}, receive, send)

    given = [(name.replace("_", "-"), text) for name, text in headers.items()]
    return (await ask(from_peer, method, path, headers=given)).status


async def test_who_tries_links_is_not_answered_after_a_few_even_if_one_exists() -> None:
    app = limited(Seconds())
    assert [await look(app, f"/r/{n}") for n in range(7)] == [404] * 5 + [429] * 2
    assert await look(app, "/r/known") == 429
    assert await look(app, "/r/known", "HEAD") == 429


async def test_others_and_answers_go_on_meanwhile() -> None:
    app = limited(Seconds())
    for n in range(9):
        await look(app, f"/r/{n}")
    assert await look(app, "/r/known", peer="192.0.2.2") == 200
    assert await look(app, "/r/known", "POST") == 200
    assert await look(app, "/health/live", "POST") == 200


async def test_a_wrong_link_to_unsubscribe_counts_as_a_look_and_nobody_who_unsubscribes_is_refused() -> None:
    app = limited(Seconds())
    assert [await look(app, f"/r/{n}/unsubscribe", "POST") for n in range(7)] == [404] * 7
    assert await look(app, "/r/known") == 429
    assert await look(app, "/r/0/unsubscribe") == 429


async def test_opening_a_link_that_exists_costs_nothing() -> None:
    app = limited(Seconds())
    assert {await look(app, "/r/known") for _ in range(50)} == {200}


async def test_after_a_while_looking_is_answered_again() -> None:
    seconds = Seconds()
    app = limited(seconds)
    for n in range(9):
        await look(app, f"/r/{n}")
    seconds.now = 11.9
    assert await look(app) == 429
    seconds.now = 12.1
    assert await look(app) == 404
    assert await look(app) == 429


async def test_a_hundred_thousand_guessers_take_bounded_memory() -> None:
    guesses = Guesses(5)
    for n in range(100_000):
        guesses.miss(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", float(n))
    assert len(guesses._missed) == _MOST_PEERS


# -- row 9 --

FORGED: list[dict[str, str]] = [
    {"x_forwarded_for": "1.2.3.{n}"},
    {"x_forwarded_for": "1.2.3.{n}, 127.0.0.1"},
    {"x_forwarded_for": "127.0.0.1, 1.2.3.{n}"},
    {"forwarded": "for=1.2.3.{n}"},
    {"x_real_ip": "1.2.3.{n}"},
    {"cf_connecting_ip": "1.2.3.{n}", "true_client_ip": "1.2.3.{n}"},
    {"host": "evil{n}.example"},
]


@pytest.mark.parametrize("headers", FORGED)
async def test_headers_of_a_direct_client_change_nothing(headers: dict[str, str]) -> None:
    app = limited(Seconds())
    forged = [{name: text.format(n=n) for name, text in headers.items()} for n in range(6)]
    assert [await look(app, **h) for h in forged] == [404] * 5 + [429]


@pytest.mark.parametrize("forged", ["1.2.3.{n}", "1.2.3.{n}, 127.0.0.1", "evil", "", "1.2.3.{n}," * 50 + "x"])
async def test_behind_one_proxy_only_what_the_proxy_wrote_counts(forged: str) -> None:
    app = limited(Seconds(), trusted_proxies=1)
    through = [forged.format(n=n) + ", 198.51.100.7" for n in range(6)]
    assert [await look(app, peer="10.0.0.1", x_forwarded_for=h) for h in through] == [404] * 5 + [429]
    assert await look(app, peer="10.0.0.1", x_forwarded_for="198.51.100.8") == 404


@pytest.mark.parametrize(
    ("peer", "lines", "trusted", "found"),
    [
        ("192.0.2.1", [], 0, "192.0.2.1"),
        ("192.0.2.1", ["9.9.9.9"], 0, "192.0.2.1"),
        ("10.0.0.1", ["9.9.9.9, 198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["9.9.9.9, 198.51.100.7, 10.0.0.2"], 2, "198.51.100.7"),
        ("10.0.0.1", ["9.9.9.9", "198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7"], 2, "10.0.0.1"),
        ("10.0.0.1", ["not an address"], 1, "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", [], 0, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], 0, "192.0.2.1"),
        (None, [], 0, "unknown"),
    ],
)
def test_a_peer_is_whom_the_last_proxy_of_ours_saw(
    peer: str | None, lines: list[str], trusted: int, found: str
) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in lines]
    scope: dict[str, Any] = {"headers": headers, "client": None if peer is None else (peer, 1)}
    assert peer_of(scope, trusted) == found


# -- row 2, with the real pages and PostgreSQL --


def guesses_at(token: str) -> list[str]:
    return [
        new_token(),
        token[:-1],
        token + "A",
        token.swapcase(),
        token[:-1] + "%00",
        "../" + token,
        token[:-1] + "４",
        "' or 1=1--",
        "a" * 4000,
    ]


async def test_a_post_that_no_page_of_ours_sent_is_a_look_like_any_other(pool: Pool, settings: Settings) -> None:
    app = survey(pool, settings, guessing=Guessing(Guesses(5), 0, Seconds()))
    limit = GuessLimit(app, app.guessing, app.too_many_guesses)
    token = await invite(pool)
    for _ in range(9):
        assert (await post(app, token, ("score", "4"), nonce="")).status == 403  # a link that exists costs nothing

    async def unreadable(link: str) -> Reply:
        return await ask(app, "POST", f"/r/{link}", headers=[("content-type", "text/plain")], parts=[b"score=4"])

    guesses = [await post(app, new_token(), ("score", "4"), nonce="") for _ in range(3)]
    guesses += [await unreadable(new_token()) for _ in range(3)]
    assert [reply.status for reply in guesses] == [403] * 3 + [422] * 2 + [429]
    assert (await ask(limit, "GET", f"/r/{token}")).status == 429
    shown = [await post(app, token, ("score", "4"), nonce=""), await unreadable(token)]
    assert [(reply.status, reply.headers["retry-after"]) for reply in shown] == [(429, "60")] * 2
    assert app._views.nonce(token) not in shown[0].text + shown[1].text
    # Who holds the page is answered, whatever comes of it.
    assert (await post(app, token, ("score", "4"))).status == 303
    assert (await post(app, token, ("score", "9"))).status == 422


async def test_wrong_links_look_the_same_and_take_the_same_time(pool: Pool, settings: Settings) -> None:
    app = survey(pool, settings)
    token = await invite(pool)
    kinds = guesses_at(token)
    took: list[list[float]] = [[] for _ in kinds]
    bodies = set()
    for _ in range(60):
        for n, guess in enumerate(kinds):
            began = time.perf_counter()
            reply = await ask(app, "GET", f"/r/{guess}", headers=[("accept-language", "sv")])
            took[n].append(time.perf_counter() - began)
            bodies.add((reply.status, reply.body))
    assert {status for status, _ in bodies} == {404}
    assert len(bodies) == 1
    # What a guesser can filter out: the quickest of many. A busy machine delays those that ask the database.
    quickest = [min(t) for t in took]
    assert max(quickest) - min(quickest) <= 0.005, dict(zip(kinds, quickest, strict=True))
