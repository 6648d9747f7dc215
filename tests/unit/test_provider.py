"""How a provider is asked: with PKCE, with our secret, seldom for keys; and roles from what it tells."""

import base64
from typing import Any

import pytest
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.chassis.staff import EVERYWHERE, Role
from services.chassis.staff.id_tokens import name_of, roles_of
from services.chassis.staff.provider import challenge, provider_for
from tests.openid import CLIENT, EC, ISSUER, RSA, STRANGER, FakeProvider, sign_in_with, signed
from tests.staff import OURS, Clock


def test_the_challenge_is_that_of_the_specification() -> None:
    # RFC 7636, appendix B
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_the_browser_takes_state_nonce_and_challenge_along_and_the_verifier_stays() -> None:
    sign_in = sign_in_with(FakeProvider(Clock()))
    asked = await sign_in.leave()
    assert asked | {"state": "", "nonce": "", "code_challenge": ""} == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": OURS + "/staff/callback",
        "scope": "openid profile email",
        "code_challenge_method": "S256",
        "state": "",
        "nonce": "",
        "code_challenge": "",
    }
    again = await sign_in.leave()
    assert not {asked[n] for n in ("state", "nonce", "code_challenge")} & set(again.values())
    await sign_in.come_back(state=again["state"], code="c-1")
    exchanged = dict(p.split("=") for p in sign_in.provider.asked[-2].content.decode().split("&"))
    assert challenge(exchanged["code_verifier"]) == again["code_challenge"]
    assert len(exchanged["code_verifier"]) >= 43


@pytest.mark.parametrize(
    ("metadata", "in_header", "in_body"),
    [
        ({}, True, False),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, False, True),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"]}, True, False),
    ],
)
async def test_our_secret_goes_the_way_that_the_provider_wants(
    metadata: dict[str, Any], in_header: bool, in_body: bool
) -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), metadata=metadata))
    await sign_in.whole()
    exchange = next(r for r in sign_in.provider.asked if r.url.path == "/token")
    basic = "Basic " + base64.b64encode(b"kvittera-staff:s3cret%2F%3A").decode()
    assert (exchange.headers.get("authorization") == basic) is in_header
    assert (b"client_secret=s3cret" in exchange.content) is in_body


async def test_a_public_client_sends_no_secret() -> None:
    sign_in = sign_in_with(FakeProvider(Clock()), client_secret="")
    assert (await sign_in.whole()).status_code == 303
    exchange = next(r for r in sign_in.provider.asked if r.url.path == "/token")
    assert "authorization" not in exchange.headers
    assert b"client_id=kvittera-staff" in exchange.content


async def test_the_provider_is_asked_once_for_what_it_offers_and_for_its_keys() -> None:
    sign_in = sign_in_with(FakeProvider(Clock()))
    for _ in range(3):
        await sign_in.whole()
    assert sorted(sign_in.provider.paths()) == ["/.well-known/openid-configuration", "/jwks", *["/token"] * 3]


async def test_a_new_key_is_fetched_but_unknown_names_do_not_make_us_ask_and_ask() -> None:
    clock = Clock()
    provider = FakeProvider(clock, keys=[RSA])
    sign_in = sign_in_with(provider)
    await sign_in.whole()
    provider.token = lambda right: signed(right, EC, alg="ES256", kid="ec-1")
    clock.pass_by(seconds=61)
    provider.keys = [RSA, EC]
    assert (await sign_in.whole()).status_code == 303
    assert provider.paths().count("/jwks") == 2
    provider.token = lambda right: signed(right, STRANGER, kid="unknown")
    for _ in range(5):
        assert (await sign_in.whole()).status_code == 401
    assert provider.paths().count("/jwks") == 2


@pytest.mark.parametrize(
    "strange",
    [
        {"kty": "EC", "crv": "brainpoolP256r1", "kid": "b", "x": "AQ", "y": "AQ"},
        {"kty": "EC", "crv": "P-256", "kid": "no-point", "x": "AQ", "y": "AQ"},
        {"kty": "RSA", "use": "tls", "kid": "t", "n": RSA.as_dict()["n"], "e": "AQAB"},
        {"kty": "RSA", "use": "sig", "key_ops": ["encrypt"], "kid": "o", "n": RSA.as_dict()["n"], "e": "AQAB"},
        {"kty": "RSA", "kid": "half"},
        {"kty": "AKP", "kid": "later"},
        {},
        "no key",
        None,
    ],
)
async def test_a_key_that_we_do_not_understand_shuts_nobody_out(strange: object) -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), strange_keys=(strange,)))
    assert (await sign_in.whole()).status_code == 303
    assert sign_in.is_signed_in()


async def test_a_provider_without_a_key_that_we_understand_is_away() -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), keys=[], strange_keys=({"kty": "AKP"}, None)))
    assert (await sign_in.whole()).status_code == 503


async def test_with_the_provider_away_the_page_says_so_and_nobody_is_in() -> None:
    provider = FakeProvider(Clock())
    sign_in = sign_in_with(provider)
    asked = await sign_in.leave()
    provider.away = True
    assert (await sign_in.come_back(state=asked["state"], code="c-1")).status_code == 503
    assert (await sign_in_with(provider).browser.get("/staff/login")).status_code == 503
    assert sign_in.metrics.registry.get_sample_value(
        "kvittera_staff_sign_ins_total", {"result": "provider_away"}
    ) == pytest.approx(1)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://id.nordposten.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
    ],
)
async def test_a_provider_that_offers_something_strange_is_not_used(metadata: dict[str, Any]) -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), metadata=metadata))
    assert (await sign_in.browser.get("/staff/login")).status_code == 503


async def test_a_refused_code_signs_nobody_in() -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), status=400))
    assert (await sign_in.whole()).status_code == 401


async def test_who_has_no_role_is_told_so() -> None:
    sign_in = sign_in_with(FakeProvider(Clock(), lambda right: signed({**right, "groups": ["staff"]})))
    reply = await sign_in.whole()
    assert reply.status_code == 403
    assert "no role" in reply.text
    assert not sign_in.is_signed_in()


# -- what a token tells --


@pytest.mark.parametrize(
    ("told", "roles"),
    [
        (["kvittera:lead:Luleå"], {"Luleå": Role.LEAD}),
        (["kvittera:agent"], {EVERYWHERE: Role.AGENT}),
        (
            ["kvittera:reader", "kvittera:admin", "kvittera:lead:Årsta"],
            {EVERYWHERE: Role.ADMIN, "Årsta": Role.LEAD},
        ),
        (["kvittera:admin", "kvittera:reader"], {EVERYWHERE: Role.ADMIN}),
        ("staff kvittera:agent:Kiruna", {"Kiruna": Role.AGENT}),
        (["kvittera:agent:Mo: nord"], {"Mo: nord": Role.AGENT}),
        (["kvittera", "kvittera:", "kvittera:owner", "other:admin", "admin", 7, None, {"a": 1}], {}),
        ({"kvittera:admin": True}, {}),
        (None, {}),
        (7, {}),
    ],
)
def test_roles_come_from_words_of_ours(told: Any, roles: dict[str, Role]) -> None:
    assert roles_of({"groups": told}, "groups", "kvittera") == roles


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Anna Lund", "email": "a@x.example", "email_verified": True}, "Anna Lund"),
        ({"preferred_username": "anna"}, "anna"),
        ({"email": "a@x.example", "email_verified": True}, "a@x.example"),
        ({"email": "a@x.example"}, "s-1"),
        ({"name": " \u202e\x00 "}, "s-1"),
        ({"name": ["Anna"]}, "s-1"),
        ({"name": "A" * 200}, "A" * 80),
    ],
)
def test_a_member_is_called_by_name_and_by_address_only_if_it_is_verified(claims: dict[str, Any], name: str) -> None:
    assert name_of({"sub": "s-1", **claims}) == name


# -- settings --


def settings(**changed: Any) -> Settings:
    right = {
        "staff_sign_in": "oidc",
        "sealing_key": SecretStr("5e" * 32),
        "oidc_issuer": ISSUER,
        "oidc_client_id": CLIENT,
    }
    return Settings.model_validate({**right, **changed})


async def test_the_right_settings_make_a_provider() -> None:
    provider = provider_for(settings(), OURS)
    assert (provider.issuer, provider.redirect_uri) == (ISSUER, OURS + "/staff/callback")
    await provider.client.aclose()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"oidc_issuer": ""}, "KVITTERA_OIDC_ISSUER"),
        ({"oidc_client_id": ""}, "KVITTERA_OIDC_CLIENT_ID"),
        ({"oidc_issuer": "http://id.nordposten.example"}, "KVITTERA_OIDC_ISSUER must begin with https"),
    ],
)
def test_what_is_missing_for_the_provider_stops_the_start_by_name(changed: dict[str, str], named: str) -> None:
    with pytest.raises(MustStop, match=named):
        provider_for(settings(**changed), OURS)
