"""Row 26: no token that was not made by the provider, for us, now and for this browser signs anybody in."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tests.openid import CLIENT, EC, ISSUER, RSA, STRANGER, FakeProvider, Token, sign_in_with, signed
from tests.staff import Clock

PUBLIC_KEY = RSA.as_pem(private=False)


def changed(**claims: Any) -> Token:
    return lambda right: signed({name: value for name, value in {**right, **claims}.items() if value is not None})


def headed(**header: Any) -> Token:
    return lambda right: signed(right, **header)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(alg: str) -> Token:
    return lambda right: f"{part({'alg': alg, 'kid': 'rsa-1'})}.{part(right)}."


def by_hand(header: dict[str, Any], right: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Tokens that the library rightly refuses to sign."""
    text = f"{part(header)}.{part(right)}"
    return f"{text}.{base64.urlsafe_b64encode(sign(text.encode())).decode().rstrip('=')}"


def by_private_key(text: bytes) -> bytes:
    assert RSA.private_key is not None
    return RSA.private_key.sign(text, PKCS1v15(), SHA256())


def by_public_key(right: dict[str, Any]) -> str:
    """The classic: the provider's public key taken for a shared secret."""
    return by_hand({"alg": "HS256", "kid": "rsa-1"}, right, lambda text: hmac.digest(PUBLIC_KEY, text, "sha256"))


def with_critical_extension(right: dict[str, Any]) -> str:
    header = {"alg": "RS256", "kid": "rsa-1", "crit": ["b65"], "b65": False}
    return by_hand(header, right, by_private_key)


def later(seconds: int) -> Token:
    return lambda right: signed({**right, "iat": right["iat"] + seconds, "exp": right["exp"] + seconds})


def swapped(right: dict[str, Any]) -> str:
    head, _, mark = signed(right).split(".")
    return f"{head}.{part({**right, 'sub': 's-2'})}.{mark}"


MALICIOUS: dict[str, Token] = {
    "for another client": changed(aud="other"),
    "for several, without naming us as the one that asked": changed(aud=[CLIENT, "other"]),
    "for several, asked for by another": changed(aud=[CLIENT, "other"], azp="other"),
    "asked for by another": changed(azp="other"),
    "for nobody": changed(aud=None),
    "for a list of nobody": changed(aud=[]),
    "by another provider": changed(iss="https://evil.example"),
    "by a provider with a slash more": changed(iss=ISSUER + "/"),
    "by no provider": changed(iss=None),
    "for another sign-in": changed(nonce="other"),
    "for no sign-in": changed(nonce=None),
    "of nobody": changed(sub=None),
    "unsigned": unsigned("none"),
    "unsigned, shouted": unsigned("None"),
    "unsigned, said to be signed": unsigned("RS256"),
    "signed with the public key as a secret": by_public_key,
    "signed with a stranger's key of the same name": lambda right: signed(right, STRANGER),
    "signed by one algorithm with the key of another": lambda right: signed(right, EC, alg="ES256"),
    "changed after signing": swapped,
    "expired": later(-361),
    "without an end": changed(exp=None),
    "with an end that is no number": changed(exp="2099-01-01"),
    "from the future": later(61),
    "without a beginning": changed(iat=None),
    "key name leads to a file": headed(kid="../../../../dev/null"),
    "key name leads to a file by URL": headed(kid="file:///etc/passwd"),
    "key name with SQL": headed(kid="' UNION SELECT 'x"),
    "key name unknown": headed(kid="rsa-2"),
    "own key brought along": lambda right: signed(right, STRANGER, jwk=STRANGER.as_dict(private=False), kid="x"),
    "own key's address brought along": lambda right: signed(right, STRANGER, jku="https://evil.example/jwks"),
    "a critical extension nobody knows": with_critical_extension,
    "mail address not verified": changed(email="anna@nordposten.example", email_verified=False),
    "mail address not verified, as text": changed(email="anna@nordposten.example", email_verified="false"),
    "no token": lambda _: "",
    "not a token": lambda _: "a.b.c",
    "a list": lambda _: f"{part({'alg': 'RS256'})}.{part([])}.x",
    "far too large": lambda right: signed({**right, "more": "x" * 33_000}),
}


@pytest.mark.parametrize("token", MALICIOUS.values(), ids=MALICIOUS.keys())
async def test_a_token_that_does_not_hold_signs_nobody_in(token: Token) -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), token))
    reply = await sign_in.whole()
    assert reply.status_code == 401
    assert not sign_in.is_signed_in()
    assert "evil" not in reply.text


def without_extension(right: dict[str, Any]) -> str:
    """Shows that tokens made by hand are right but for what is wrong with them."""
    return by_hand({"alg": "RS256", "kid": "rsa-1"}, right, by_private_key)


@pytest.mark.parametrize(
    "token",
    [
        signed,
        without_extension,
        lambda right: signed(right, EC, alg="ES256", kid="ec-1"),
        changed(aud=[CLIENT]),
        changed(aud=[CLIENT, "other"], azp=CLIENT),
        later(-359),
        later(59),
        changed(email="anna@nordposten.example", email_verified=True),
    ],
    ids=[
        "plain",
        "by hand",
        "by curve",
        "list of one",
        "for several, asked for by us",
        "just in time",
        "clock ahead",
        "verified",
    ],
)
async def test_a_token_that_holds_signs_in(token: Token) -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), token))
    reply = await sign_in.whole()
    assert (reply.status_code, reply.headers["location"]) == (303, "/cases")
    assert sign_in.is_signed_in()


@pytest.mark.parametrize(
    "query",
    [
        {"code": "c-1"},
        {"code": "c-1", "state": ""},
        {"code": "c-1", "state": "guessed"},
        {"code": "c-1", "state": "å"},
        {"state": "right"},
        {"state": "right", "error": "access_denied"},
        {"state": "right", "code": "c-1", "iss": "https://evil.example"},
    ],
)
async def test_a_return_that_does_not_belong_to_this_browser_asks_for_no_token(query: dict[str, str]) -> None:
    sign_in = sign_in_with(FakeProvider(Clock()))
    asked = await sign_in.leave()
    query = {name: asked["state"] if text == "right" else text for name, text in query.items()}
    reply = await sign_in.come_back(**query)
    assert reply.status_code == 401
    assert not sign_in.is_signed_in()
    assert "/token" not in sign_in.provider.paths()


async def test_a_return_works_once() -> None:
    sign_in = sign_in_with(FakeProvider(Clock()))
    asked = await sign_in.leave()
    assert (await sign_in.come_back(state=asked["state"], code="c-1")).status_code == 303
    assert (await sign_in.come_back(state=asked["state"], code="c-1")).status_code == 401


async def test_another_browser_cannot_finish_a_sign_in_that_this_one_began() -> None:
    provider = FakeProvider(Clock())
    asked = await sign_in_with(provider).leave()
    victim = sign_in_with(provider)
    assert (await victim.come_back(state=asked["state"], code="c-1")).status_code == 401
    assert not victim.is_signed_in()


async def test_a_sign_in_that_takes_more_than_ten_minutes_begins_anew() -> None:
    clock = Clock()
    sign_in = sign_in_with(FakeProvider(clock))
    asked = await sign_in.leave()
    clock.pass_by(minutes=10)
    assert (await sign_in.come_back(state=asked["state"], code="c-1")).status_code == 401
