"""The doctor tells of each gateway and app that messages leave by whether it is there, and at which step it is not."""

import asyncio
import socket
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.doctor import reach
from services.doctor.findings import Finding
from services.doctor.gateways import each_provider, gateways
from services.doctor.reach import Place, UnreachedError
from services.embedded.ports import free_port
from services.notifier.channels.gateway import GatewayTable
from services.notifier.channels.safe_address import Doorman
from services.notifier.channels.webhook import WebhookTable
from tests.channel_kit import SID, loopback
from tests.doctor_kit import SETTING, SETTINGS, Secured, talking
from tests.gateways import answer, gateway

TO_TLS = f"check the port in {SETTING}: it must be the one for TLS"


def web(port: int, *, host: str = "localhost", scheme: str = "https") -> GatewayTable:
    url = f"{scheme}://{host}:{port}/v1/send?key=not-told"
    return GatewayTable(name="post", adapter="gateway", url=url, fields={"to": "to", "text": "text"})


async def looked_at(table: GatewayTable) -> Finding:
    [found] = await each_provider([table])
    return found


async def test_a_gateway_that_is_there_is_told_nothing_at_all(secured: Secured) -> None:
    async with gateway(answer(200), tls=secured()) as server:
        found = await looked_at(web(server.port))
    assert found == Finding("provider post", "well", f"localhost:{server.port} answers, and its certificate holds")
    assert server.calls == []


async def test_a_gateway_that_does_not_run_is_refused() -> None:
    port = free_port()
    assert await looked_at(web(port)) == Finding(
        "provider post",
        "ill",
        f"localhost:{port} refuses connections",
        f"see that it runs, and listens at the port in {SETTING}",
    )


async def test_a_gateway_behind_a_firewall_that_drops_what_is_sent_does_not_answer(hurried: None) -> None:  # noqa: ARG001
    # A full queue of connections drops what comes next, as firewalls do.
    with closing(socket.socket()) as full, closing(socket.socket()) as first, closing(socket.socket()) as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        found = await looked_at(web(port, host="127.0.0.1"))
    assert (found.verdict, found.found) == ("ill", f"127.0.0.1:{port} does not answer")
    assert "a firewall or a network policy" in found.do


@pytest.mark.parametrize(
    ("made", "why", "do"),
    [
        ({"stranger": True}, "unable to get local issuer certificate", "let this machine trust its authority"),
        ({"name": "elsewhere.example"}, "Hostname mismatch", "name the server as its certificate does"),
        ({"now": datetime(2021, 1, 1, tzinfo=UTC)}, "certificate has expired", "have the certificate renewed"),
    ],
)
async def test_a_certificate_that_does_not_hold_is_told_with_its_fault(
    secured: Secured, made: dict[str, object], why: str, do: str
) -> None:
    async with gateway(answer(200), tls=secured(**made)) as server:
        found = await looked_at(web(server.port))
    assert found.verdict == "ill"
    assert found.found.startswith(f"the certificate of localhost:{server.port} is not trusted: {why}")
    assert found.do.startswith(do)
    assert server.calls == []


async def test_a_gateway_that_never_answers_the_handshake_or_does_not_encrypt_is_told_apart(silent: int) -> None:
    waited = await looked_at(web(silent))
    assert waited.found == f"localhost:{silent} takes the connection and does not answer the TLS handshake"
    async with talking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _):
        plain = await looked_at(web(port))
    assert plain.found == f"localhost:{port} does not encrypt"
    async with talking(b"") as (port, _):
        gone = await looked_at(web(port))
    assert gone.found == f"localhost:{port} hangs up in the TLS handshake"
    assert [f.do for f in (waited, plain, gone)] == [TO_TLS] * 3


async def test_a_gateway_whose_name_nobody_knows_is_told_apart_from_a_dns_that_does_not_answer() -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "")

    async def away(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "")

    async def slow(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(5)
        return []

    place = Place("sms.example", 443, SETTING)
    told = []
    for resolve in (unknown, away, slow):
        with pytest.raises(UnreachedError) as caught:
            await reach.connected(place, asyncio.get_running_loop().time() + 0.1, resolve)
        told.append((caught.value.found, caught.value.do))
    assert told == [
        ("sms.example has no address", f"correct the name in {SETTING}"),
        ("sms.example cannot be looked up now", "check this machine's DNS"),
        ("sms.example is not looked up in time", "check this machine's DNS"),
    ]


async def test_a_number_that_refuses_does_not_hide_another_that_answers() -> None:
    async def both(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with gateway(answer(200)) as server:
        await reach.reach(Place("sms.example", server.port, SETTING), encrypted=False, resolve=both)
        assert server.connections <= 1


async def test_numbers_and_words_in_the_clear_are_worth_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(answer(200)) as server:
        here = await looked_at(web(server.port, scheme="http"))
        monkeypatch.setattr("services.doctor.gateways.is_loopback", lambda _: False)
        there = await looked_at(web(server.port, scheme="http"))
    assert (here.verdict, there.verdict) == ("well", "look")
    assert there.found == f"localhost:{server.port} answers, and does not encrypt"
    assert there.do == f"write https in {SETTING}: numbers, words and the key go in the clear"


async def test_every_provider_of_a_file_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    port = free_port()
    file.write_text(
        f'[[provider]]\nname = "post"\nadapter = "smtp"\nhost = "127.0.0.1"\nport = {port}\n'
        'sender = "svar@nordposten.example"\n'
        f'[[provider]]\nname = "sms"\nadapter = "twilio"\naccount_sid = "{SID}"\nsender = "Nordposten"\n'
        f'url = "https://127.0.0.1:{port}"\n'
        '[[provider]]\nname = "push"\nadapter = "webpush"\ncontact = "mailto:a@nordposten.example"\n'
    )
    live = SETTINGS.model_copy(update={"channel": "providers", "providers_file": file})
    assert [(f.what, f.verdict) for f in await gateways(live)] == [
        ("provider post", "ill"),
        ("provider sms", "ill"),
        ("provider push", "well"),
    ]
    assert await gateways(live.model_copy(update={"channel": "outbox"})) == []


def app(url: str) -> WebhookTable:
    return WebhookTable(name="app", adapter="webhook", url=url)


async def test_an_apps_address_is_judged_as_before_a_message_and_never_called_otherwise(secured: Secured) -> None:
    inside = Doorman(loopback, allow=lambda n: n.is_loopback, ports=lambda _: True)
    async with gateway(answer(204, ""), tls=secured("app.example")) as server:
        url = f"https://app.example:{server.port}/hooks"
        [private] = await each_provider([app(url)], Doorman(loopback, ports=lambda _: True))
        [port] = await each_provider([app(url)])
        assert server.connections == 0
        [let_in] = await each_provider([app(url)], inside)
        [other] = await each_provider([app(url.replace("app.", "other."))], inside)
    assert private.found == "messages are not sent to its address (address_not_public)"
    assert port.found == "messages are not sent to its address (address_port)"
    assert let_in == Finding("provider app", "well", f"app.example:{server.port} answers, and its certificate holds")
    assert other.found.startswith(f"the certificate of other.example:{server.port} is not trusted: Hostname mismatch")
    assert [f.verdict for f in (private, port, let_in, other)] == ["ill", "ill", "well", "ill"]
    assert server.calls == []


async def test_an_app_whose_name_nobody_knows_is_ill() -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "")

    [found] = await each_provider([app("https://app.example/hooks")], Doorman(unknown))
    assert (found.verdict, found.found) == ("ill", "app.example has no address now")


def test_an_address_without_a_port_leads_to_that_of_its_scheme() -> None:
    assert [Place.of(url, "").port for url in ("https://a.example/x", "http://a.example")] == [443, 80]
    assert str(Place("192.0.2.1", 443, "", "a.example")) == "a.example:443"
