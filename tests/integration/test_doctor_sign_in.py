"""The doctor looks at whom else the services call: gateways for outcomes, collectors of traces, sign-in providers."""

import json

import pytest
from joserfc.jwk import KeySet
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.doctor.findings import Finding
from services.doctor.gateways import outcome_texts, traces
from services.doctor.way_out import staff
from services.embedded.ports import free_port
from tests.channel_kit import SECRET
from tests.doctor_kit import SETTINGS, Secured
from tests.gateways import answer, gateway
from tests.openid import RSA


async def test_the_gateway_for_outcomes_is_looked_at_where_it_is_used(secured: Secured) -> None:
    async with gateway(answer(200), tls=secured()) as server:
        url = f"https://localhost:{server.port}/texts"
        live = SETTINGS.model_copy(
            update={"channel": "smtp", "outcome_text_url": url, "outcome_text_secret": SecretStr(SECRET)}
        )
        assert await outcome_texts(live) == [
            Finding("outcome texts", "well", f"localhost:{server.port} answers, and its certificate holds")
        ]
    [gone] = await outcome_texts(live)
    assert gone.verdict == "ill"
    assert gone.do.endswith("the port in KVITTERA_OUTCOME_TEXT_URL")
    assert await outcome_texts(live.model_copy(update={"channel": "outbox"})) == []
    with pytest.raises(MustStop, match="KVITTERA_OUTCOME_TEXT_SECRET"):
        await outcome_texts(live.model_copy(update={"outcome_text_secret": SecretStr("")}))
    assert server.calls == []


async def test_a_collector_of_traces_that_is_away_is_worth_a_look_and_no_more() -> None:
    assert await traces(SETTINGS) == []
    [found] = await traces(SETTINGS.model_copy(update={"otlp_endpoint": f"http://127.0.0.1:{free_port()}"}))
    assert (found.what, found.verdict) == ("traces", "look")


def signing_in(port: int, scheme: str = "http") -> Settings:
    issuer = f"{scheme}://localhost:{port}"
    return SETTINGS.model_copy(update={"staff_sign_in": "oidc", "oidc_issuer": issuer, "oidc_client_id": "kvittera"})


KEYS = json.dumps(KeySet([RSA]).as_dict(private=False))


def offered(issuer: str) -> str:
    endpoints = ", ".join(f'"{n}": "{issuer}/x"' for n in ("authorization_endpoint", "token_endpoint", "jwks_uri"))
    return f'{{"issuer": "{issuer}", {endpoints}}}'


async def test_a_sign_in_provider_that_tells_what_it_offers_is_well_and_is_shown_no_secret() -> None:
    async with gateway(answer(200)) as server:
        settings = signing_in(server.port).model_copy(update={"oidc_client_secret": SecretStr("not-told")})
        server.script = [answer(200, offered(settings.oidc_issuer)), answer(200, KEYS)]
        found = await staff(settings)
    assert found[1:] == [
        Finding("sign-in provider", "well", f"localhost:{server.port} tells what it offers, and its keys")
    ]
    assert [(c.method, c.path, c.body) for c in server.calls] == [
        ("GET", "/.well-known/openid-configuration", b""),
        ("GET", "/x", b""),
    ]
    assert not any("authorization" in c.headers for c in server.calls)


async def test_a_sign_in_provider_under_another_name_or_that_is_away_is_ill(silent: int) -> None:
    async with gateway(answer(200, offered("http://localhost:1"))) as server:
        [_, renamed] = await staff(signing_in(server.port))
    [_, gone] = await staff(signing_in(free_port()))
    [_, waiting] = await staff(signing_in(silent))
    assert renamed.found == f"localhost:{server.port} names itself otherwise than KVITTERA_OIDC_ISSUER"
    assert f"http://localhost:{server.port}/.well-known/openid-configuration" in renamed.do
    assert gone.found.endswith(" refuses connections")
    assert waiting.found == f"localhost:{silent} does not tell what it offers"
    assert {f.verdict for f in (renamed, gone, waiting)} == {"ill"}


async def test_a_sign_in_provider_with_another_certificate_is_told_with_its_fault(secured: Secured) -> None:
    async with gateway(answer(200), tls=secured("elsewhere.example")) as server:
        [_, found] = await staff(signing_in(server.port, "https"))
    assert found.found.startswith(f"the certificate of localhost:{server.port} is not trusted: Hostname mismatch")


async def test_without_a_client_name_the_services_would_not_start() -> None:
    with pytest.raises(MustStop, match="KVITTERA_OIDC_CLIENT_ID"):
        await staff(signing_in(1).model_copy(update={"oidc_client_id": ""}))
