"""A provider for tests that says whatever a test wants it to say, and a browser that signs in with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette

from services.chassis.metrics import Metrics
from services.chassis.staff.gate import CookieGate
from services.chassis.staff.provider import Provider
from services.survey.staff.pages import StaffPages
from services.survey.staff.provider_account import ProviderAccount
from services.survey.staff.signing_in import routes
from tests.staff import OURS, Clock, gate_at

ISSUER = "https://id.nordposten.example"
CLIENT = "kvittera-staff"
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"}, auto_kid=False)
EC = ECKey.generate_key("P-256", {"kid": "ec-1"}, auto_kid=False)
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"}, auto_kid=False)
Token = Callable[[dict[str, Any]], str]


def claims_at(now: datetime, nonce: str, **changed: Any) -> dict[str, Any]:
    """Right claims; every argument changes one, None takes it away."""
    plain = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "s-1",
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 300,
        "nonce": nonce,
        "name": "Anna Lund",
        "groups": ["kvittera:lead:Luleå", "staff"],
    }
    return {name: value for name, value in {**plain, **changed}.items() if value is not None}


def signed(claims: dict[str, Any], key: Any = RSA, **header: Any) -> str:
    """A token as the provider would sign it."""
    return jwt.encode({"alg": "RS256", "kid": "rsa-1", **header}, claims, key, algorithms=["RS256", "ES256", "HS256"])


@dataclass
class FakeProvider:
    """Answers discovery, keys and code exchange; `token` makes the ID token from right claims."""

    clock: Clock
    token: Token = signed
    keys: list[Any] = field(default_factory=lambda: [RSA, EC])
    strange_keys: tuple[object, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    asked: list[httpx2.Request] = field(default_factory=list)
    nonce: str = ""
    status: int = 200
    away: bool = False

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if self.away:
            raise httpx2.ConnectTimeout("no answer")
        match request.url.path:
            case "/.well-known/openid-configuration":
                endpoints = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks"}
                told = {"issuer": ISSUER, **{name: ISSUER + path for name, path in endpoints.items()}}
                return httpx2.Response(200, json={**told, **self.metadata})
            case "/jwks":
                known = KeySet(self.keys).as_dict(private=False)["keys"]
                return httpx2.Response(200, json={"keys": [*self.strange_keys, *known]})
            case "/token":
                told = {"error": "invalid_grant"}
                if self.status == 200:
                    told = {"id_token": self.token(claims_at(self.clock(), self.nonce)), "token_type": "Bearer"}
                return httpx2.Response(self.status, json=told)
        return httpx2.Response(404)

    def paths(self) -> list[str]:
        """What was asked for."""
        return [request.url.path for request in self.asked]


@dataclass
class SignIn:
    """A browser in front of a site that signs in with the fake provider."""

    provider: FakeProvider
    gate: CookieGate
    metrics: Metrics
    browser: httpx2.AsyncClient
    known: Provider

    async def leave(self, onwards: str = "/cases") -> dict[str, str]:
        """Begin; returns what the browser takes to the provider."""
        reply = await self.browser.get("/staff/login", params={"next": onwards})
        assert reply.status_code == 303, reply.text
        asked = {name: values[0] for name, values in parse_qs(urlsplit(reply.headers["location"]).query).items()}
        self.provider.nonce = asked["nonce"]
        return asked

    async def come_back(self, **query: str) -> httpx2.Response:
        """The provider sends the browser back."""
        return await self.browser.get("/staff/callback", params=query)

    async def whole(self) -> httpx2.Response:
        """There and back."""
        asked = await self.leave()
        return await self.come_back(state=asked["state"], code="c-1")

    def is_signed_in(self) -> bool:
        """Whether the browser has a session."""
        return self.gate.cookies.session in self.browser.cookies


def sign_in_with(provider: FakeProvider, client_secret: str = "s3cret/:", url: str = OURS) -> SignIn:
    """Everything put together, without servers."""
    gate = gate_at(provider.clock, url)
    pages = StaffPages.load(demo=False)
    metrics = Metrics()
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(provider))
    known = Provider(
        ISSUER, CLIENT, client_secret, url + "/staff/callback", client, lambda: provider.clock().timestamp()
    )
    account = ProviderAccount(gate, pages, known, gate.sessions.seal, "groups", "kvittera", metrics)
    app = Starlette(routes=routes(gate, account, pages))
    browser = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=url)
    return SignIn(provider, gate, metrics, browser, known)
