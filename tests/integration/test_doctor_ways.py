"""The doctor tells of each server that messages leave by whether it is there, and at which step it is not."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from joserfc.jwk import KeySet
from pydantic import SecretStr

from services.certificates import Authority
from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.doctor import reach
from services.doctor.findings import Finding
from services.doctor.gateways import each_provider, gateways, outcome_texts, traces
from services.doctor.mail_servers import mail_server
from services.doctor.reach import Place, UnreachedError
from services.doctor.way_out import staff
from services.embedded.ports import free_port
from services.notifier.channels.gateway import GatewayTable
from services.notifier.channels.safe_address import Doorman
from services.notifier.channels.smtp import SmtpTable
from services.notifier.channels.webhook import WebhookTable
from tests.channel_kit import SECRET, SID, loopback
from tests.gateways import answer, gateway
from tests.mail_server import MailRoom
from tests.mail_server import mail_server as serving_mails
from tests.openid import RSA

Secured = Callable[..., ssl.SSLContext]
SETTINGS = Settings(sealing_key="5e" * 32)
SETTING = "provider post of KVITTERA_PROVIDERS_FILE"
TO_TLS = f"check the port in {SETTING}: it must be the one for TLS"


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secured:
    """Makes a server's side of encryption; this machine trusts the authority of all but strangers."""

    def made(name: str = "localhost", *, now: datetime | None = None, stranger: bool = False) -> ssl.SSLContext:
        authority = Authority.new(now or datetime.now(UTC))
        pair = authority.server([name])
        file, trusted = tmp_path / "server.pem", tmp_path / "trusted.pem"
        file.write_text(pair.certificate + pair.key)
        trusted.write_text(Authority.new(datetime.now(UTC)).pem if stranger else authority.pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    return made


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for four seconds for what does not come."""
    monkeypatch.setattr(reach, "SECONDS", 0.5)


@pytest.fixture
async def silent(hurried: None) -> AsyncIterator[int]:  # noqa: ARG001  it must be over soon
    """A server that takes connections and says nothing."""
    over = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    over.set()
    server.close()
    await asyncio.sleep(0)


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


# -- mail servers --


@asynccontextmanager
async def talking(*replies: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that says its replies, one at first and one to each line, then hangs up; its port and those lines."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(replies):
            if number:
                heard.append(await reader.readline())
            writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


def mails(
    port: int, security: Literal["auto", "starttls", "tls", "off"] = "starttls", username: str | None = None
) -> SmtpTable:
    sender = "Nordposten <svar@nordposten.example>"
    return SmtpTable(name="post", host="localhost", port=port, security=security, sender=sender, username=username)


async def spoken_to(table: SmtpTable) -> Finding:
    return await mail_server("provider post", table, SETTING)


async def test_a_mail_server_hears_that_we_are_there_and_of_no_mail() -> None:
    async with talking(b"220 hi\r\n", b"250 post\r\n", b"250 OK\r\n", b"221 bye\r\n") as (port, heard):
        found = await spoken_to(mails(port, "off"))
    assert found == Finding("provider post", "well", f"localhost:{port} answers")
    assert [line.split()[0] for line in heard] == [b"EHLO", b"NOOP", b"QUIT"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_server_that_encrypts_with_a_certificate_of_its_name_is_well(
    secured: Secured, security: Literal["starttls", "tls"]
) -> None:
    context = secured()
    room = MailRoom()
    by_command, at_once = (context, None) if security == "starttls" else (None, context)
    async with serving_mails(room, password="not-told", starttls=by_command, tls=at_once) as port:
        found = await spoken_to(mails(port, security, username="kvittera"))
    assert found == Finding("provider post", "well", f"localhost:{port} answers, encrypted")
    assert room.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls", "auto"])
async def test_a_mail_server_with_another_certificate_is_ill(
    secured: Secured, security: Literal["starttls", "tls", "auto"]
) -> None:
    context = secured(stranger=True)
    by_command, at_once = (None, context) if security == "tls" else (context, None)
    async with serving_mails(MailRoom(), starttls=by_command, tls=at_once) as port:
        found = await spoken_to(mails(port, security))
    assert found.verdict == "ill"
    assert found.found.startswith(f"the certificate of localhost:{port} is not trusted: unable to get local issuer")


@pytest.mark.parametrize(
    ("replies", "found", "do"),
    [
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "is no mail server", "check host and port in"),
        ((b"SSH-2.0-OpenSSH_9.6\r\n",), "is no mail server", "check host and port in"),
        ((b"554 go away\r\n",), "refuses us with 554", "ask who runs it to let this machine in"),
        ((b"220 hi\r\n", b"250 post\r\n", b"421 too many\r\n"), "refuses us with 421", "ask who runs it"),
        ((b"",), "hangs up on us", "ask who runs it to let this machine in; mail servers greet"),
    ],
)
async def test_who_answers_otherwise_than_a_mail_server_is_told(replies: Sequence[bytes], found: str, do: str) -> None:
    async with talking(*replies) as (port, _):
        told = await spoken_to(mails(port, "off"))
    assert (told.verdict, told.found) == ("ill", f"localhost:{port} {found}")
    assert told.do.startswith(do)


async def test_a_mail_server_that_does_not_offer_what_is_asked_for_is_ill() -> None:
    async with serving_mails(MailRoom()) as port:
        unencrypted = await spoken_to(mails(port))
        nameless = await spoken_to(mails(port, "off", username="kvittera"))
    assert unencrypted.found == f"localhost:{port} offers no encryption"
    assert unencrypted.do.startswith("it must offer STARTTLS")
    assert nameless.found == f"localhost:{port} answers, and offers no log-in"
    assert {unencrypted.verdict, nameless.verdict} == {"ill"}


async def test_mails_in_the_clear_to_another_machine_are_worth_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.doctor.mail_servers.is_loopback", lambda _: False)
    async with serving_mails(MailRoom()) as port:
        found = await spoken_to(mails(port, "auto"))
    assert (found.verdict, found.found) == ("look", f"localhost:{port} answers, and does not encrypt")


async def test_a_mail_server_that_says_nothing_is_told_with_the_ports_that_greet(silent: int) -> None:
    found = await spoken_to(mails(silent))
    assert (found.verdict, found.found) == ("ill", f"localhost:{silent} takes the connection and says nothing")
    assert "465" in found.do


# -- whom the survey service calls --


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


def test_an_address_without_a_port_leads_to_that_of_its_scheme() -> None:
    assert [Place.of(url, "").port for url in ("https://a.example/x", "http://a.example")] == [443, 80]
    assert str(Place("192.0.2.1", 443, "", "a.example")) == "a.example:443"
