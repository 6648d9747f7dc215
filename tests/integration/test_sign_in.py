"""Signing in at a real OpenID provider, over HTTP, there and back."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from services.chassis.http import serve
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings
from services.chassis.staff.door import SessionCare
from services.chassis.staff.gate import cookie_gate
from services.chassis.staff.provider import provider_for
from services.embedded.ports import free_port
from services.survey.staff.pages import StaffPages
from services.survey.staff.provider_account import ProviderAccount
from services.survey.staff.signing_in import routes
from tests.staff import KEY

ANNA = {
    "sub": "anna",
    "name": "Anna Lund",
    "email": "anna@nordposten.example",
    "email_verified": True,
    "groups": ["kvittera:lead:Luleå"],
}
DORA = {"sub": "dora", "name": "Dora Ek", "email": "d@nordposten.example", "email_verified": False, "groups": []}
GUEST = {"sub": "guest", "name": "Guest"}


@dataclass(frozen=True)
class RunningProvider:
    issuer: str

    async def register(self, redirect_uri: str) -> tuple[str, str]:
        async with httpx2.AsyncClient() as client:
            reply = await client.post(self.issuer + "/oauth2/clients", json={"redirect_uris": [redirect_uri]})
        return reply.json()["client_id"], reply.json()["client_secret"]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    port = free_port()
    people = [part for who in (ANNA, DORA, GUEST) for part in ("--user-claims", json.dumps(who))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *people]
    said = tmp_path_factory.mktemp("provider") / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--require-registration", "true", "--require-nonce", "true"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/jwks", process, said)
        yield RunningProvider(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], said: Path) -> None:
    with httpx2.Client(transport=httpx2.HTTPTransport(retries=0)) as client:
        for _ in range(600):
            assert process.poll() is None, said.read_text()
            with contextlib.suppress(httpx2.TransportError):
                if client.get(url).status_code == 200:
                    return
            time.sleep(0.05)
    raise AssertionError(said.read_text())


@dataclass(frozen=True)
class Site:
    url: str
    settings: Settings


@pytest.fixture(scope="module")
async def site(provider: RunningProvider) -> AsyncIterator[Site]:
    """Kvittera's sign-in on a port of its own, registered at the provider."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    client_id, client_secret = await provider.register(url + "/staff/callback")
    settings = Settings(
        staff_sign_in="oidc",
        staff_url=url,
        sealing_key=KEY,
        oidc_issuer=provider.issuer,
        oidc_client_id=client_id,
        oidc_client_secret=SecretStr(client_secret),
    )
    gate = cookie_gate(settings, lambda: datetime.now(UTC))
    pages = StaffPages.load(demo=False)
    known = provider_for(settings, gate.origin)
    account = ProviderAccount(gate, pages, known, gate.sessions.seal, "groups", "kvittera", Metrics())
    stop = asyncio.Event()
    app = SessionCare(Starlette(routes=routes(gate, account, pages)), gate)
    serving = asyncio.create_task(serve(app, "127.0.0.1", port, stop))
    async with httpx2.AsyncClient() as client:
        while True:
            with contextlib.suppress(httpx2.TransportError):
                await client.get(url + "/staff/me")
                break
            await asyncio.sleep(0.02)
    yield Site(url, settings)
    stop.set()
    await serving
    await known.client.aclose()


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as client:
        yield client


async def go_to_the_provider(browser: httpx2.AsyncClient, site: Site) -> str:
    """Ask for a page, be sent to the sign-in, and from there to the provider; its address."""
    turned_away = await browser.get(site.url + "/staff", headers={"accept": "text/html"})
    assert turned_away.headers["location"] == "/staff/login?next=/staff"
    login = await browser.get(site.url + turned_away.headers["location"])
    assert login.status_code == 303
    return login.headers["location"]


async def choose(browser: httpx2.AsyncClient, address: str, **form: str) -> str:
    """Sign in on the provider's page; where it sends the browser back to."""
    assert (await browser.get(address)).status_code == 200
    reply = await browser.post(address, data=form)
    assert reply.status_code == 302, reply.text
    return reply.headers["location"]


async def test_a_member_goes_to_the_provider_and_comes_back_signed_in(browser: httpx2.AsyncClient, site: Site) -> None:
    address = await go_to_the_provider(browser, site)
    assert parse_qs(urlsplit(address).query)["code_challenge_method"] == ["S256"]
    back = await choose(browser, address, sub="anna")
    reply = await browser.get(back)
    assert (reply.status_code, reply.headers["location"]) == (303, "/staff")
    me: dict[str, Any] = (await browser.get(site.url + "/staff/me")).json()
    assert me == {"name": "Anna Lund", "roles": {"Luleå": "lead"}}
    page = await browser.get(site.url + "/staff", headers={"accept": "text/html"})
    assert "Anna Lund" in page.text
    assert (await browser.get(back)).status_code == 401  # the provider's answer works once


async def test_who_signs_out_is_nobody_again(browser: httpx2.AsyncClient, site: Site) -> None:
    await browser.get(await choose(browser, await go_to_the_provider(browser, site), sub="anna"))
    page = await browser.get(site.url + "/staff", headers={"accept": "text/html"})
    form_secret = page.text.partition('name="form_secret" value="')[2].partition('"')[0]
    origin = {"origin": site.url}
    left = await browser.post(site.url + "/staff/logout", data={"form_secret": form_secret}, headers=origin)
    assert left.status_code == 200
    assert (await browser.get(site.url + "/staff/me")).status_code == 401


@pytest.mark.parametrize(
    ("form", "status"), [({"sub": "dora"}, 401), ({"sub": "guest"}, 403), ({"action": "deny"}, 401)]
)
async def test_who_is_not_verified_has_no_role_or_declines_is_not_signed_in(
    browser: httpx2.AsyncClient, site: Site, form: dict[str, str], status: int
) -> None:
    back = await choose(browser, await go_to_the_provider(browser, site), **form)
    assert (await browser.get(back)).status_code == status
    assert (await browser.get(site.url + "/staff/me")).status_code == 401


async def test_a_code_of_another_sign_in_is_refused(site: Site) -> None:
    async with httpx2.AsyncClient() as attacker, httpx2.AsyncClient() as victim:
        stolen = await choose(attacker, await go_to_the_provider(attacker, site), sub="anna")
        code = parse_qs(urlsplit(stolen).query)["code"][0]
        own = await choose(victim, await go_to_the_provider(victim, site), sub="anna")
        state = parse_qs(urlsplit(own).query)["state"][0]
        reply = await victim.get(f"{site.url}/staff/callback", params={"code": code, "state": state})
        assert reply.status_code == 401  # its token carries the nonce of the attacker's browser
        assert (await victim.get(site.url + "/staff/me")).status_code == 401
