"""Who is signed in: a sealed cookie that ends by itself."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from services.chassis.failures import MustStop
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff import EVERYWHERE, Member, Role
from services.chassis.staff.gate import CookieGate, ShutGate, gate_for
from services.chassis.staff.origins import is_loopback
from services.chassis.staff.sessions import LONGEST_COOKIE
from tests.asgi import ask
from tests.staff import KEY, Clock, gate_at, signed_in, site


def request_with(header: tuple[str, str], path: str = "/cases") -> HTTPConnection:
    name, value = header
    return HTTPConnection(
        {"type": "http", "method": "GET", "path": path, "headers": [(name.encode(), value.encode("latin-1"))]}
    )


def test_who_signed_in_is_known_with_name_and_roles_by_terminal() -> None:
    gate = gate_at(Clock())
    member = gate.who(request_with(signed_in(gate, {"Luleå": Role.LEAD, "Årsta": Role.AGENT})))
    assert member is not None
    assert (member.subject, member.name) == ("s-1", "Anna Lund")
    assert member.roles == {"Luleå": Role.LEAD, "Årsta": Role.AGENT}
    assert member.may(Role.LEAD, "Luleå")
    assert not member.may(Role.LEAD, "Årsta")


@pytest.mark.parametrize(
    ("hours", "known"), [(0, True), (0.99, True), (1, False), (1.01, False)], ids=["now", "almost", "just", "over"]
)
def test_a_session_that_nobody_uses_for_an_hour_is_over(hours: float, known: bool) -> None:
    clock = Clock()
    gate = gate_at(clock)
    cookie = signed_in(gate)
    clock.pass_by(hours=hours)
    assert (gate.who(request_with(cookie)) is not None) is known


async def test_a_session_in_use_is_given_anew_but_ends_after_eight_hours() -> None:
    clock = Clock()
    gate = gate_at(clock)
    app = site(gate)
    cookie = signed_in(gate)
    for _ in range(15):
        clock.pass_by(minutes=31)
        reply = await ask(app, "GET", "/staff/me", headers=[cookie])
        assert reply.status == 200
        cookie = ("cookie", reply.headers["set-cookie"].partition(";")[0])
    assert "Max-Age=900" in reply.headers["set-cookie"]  # 7:45 h after the beginning: a quarter of an hour is left
    clock.pass_by(minutes=14)
    assert (await ask(app, "GET", "/staff/me", headers=[cookie])).status == 200
    clock.pass_by(minutes=1)
    assert (await ask(app, "GET", "/staff/me", headers=[cookie])).status == 401


async def test_not_every_request_gets_a_new_cookie() -> None:
    clock = Clock()
    gate = gate_at(clock)
    cookie = signed_in(gate)
    clock.pass_by(minutes=2)
    assert "set-cookie" not in (await ask(site(gate), "GET", "/staff/me", headers=[cookie])).headers


def test_on_https_the_cookie_is_for_this_host_only_and_not_for_scripts() -> None:
    gate = gate_at(Clock())
    header = gate.session_header(gate.sessions.begin("s-1", "Anna", {}, gate.now()))
    assert header.startswith("__Host-kvittera=")
    assert header.split("; ")[1:] == ["Max-Age=3600", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"]


def test_on_loopback_without_https_the_cookie_says_so_by_its_name() -> None:
    gate = gate_at(Clock(), url="http://127.0.0.1:8602")
    header = gate.session_header(gate.sessions.begin("s-1", "Anna", {}, gate.now()))
    assert header.startswith("kvittera-loopback=")
    assert header.split("; ")[2:] == ["Path=/", "HttpOnly", "SameSite=Lax"]


def test_the_cookie_shows_nobody_who_it_is() -> None:
    gate = gate_at(Clock())
    _, cookie = signed_in(gate, {"CANARY-terminal": Role.LEAD})
    opened = gate.sessions.open(cookie.partition("=")[2], gate.now())
    assert opened is not None
    assert "CANARY" not in cookie
    assert "Anna" not in cookie


def test_roles_at_thirty_terminals_fit_into_a_cookie() -> None:
    gate = gate_at(Clock())
    _, cookie = signed_in(gate, {f"Terminal number {n:02}": Role.AGENT for n in range(30)})
    assert len(cookie) < LONGEST_COOKIE


@given(data=st.data())
def test_a_changed_cookie_is_nobody(data: st.DataObject) -> None:
    gate = gate_at(Clock())
    name, _, value = signed_in(gate)[1].partition("=")
    at = data.draw(st.integers(0, len(value) - 2))  # the last letter holds unused bits
    letter = data.draw(st.sampled_from("AZaz09-_= é"))
    assume(letter != value[at])
    assert gate.who(request_with(("cookie", f"{name}={value[:at]}{letter}{value[at + 1 :]}"))) is None


@pytest.mark.parametrize("text", ["", "x", "AAAA", "=", "é", "A" * 5000, "null", "%00"])
def test_a_cookie_that_was_never_ours_is_nobody(text: str) -> None:
    gate = gate_at(Clock())
    assert gate.who(request_with(("cookie", f"{gate.cookies.session}={text}"))) is None


def test_another_key_opens_no_session() -> None:
    cookie = signed_in(gate_at(Clock(), sealing_key=SecretStr("5f" * 32)))
    assert gate_at(Clock()).who(request_with(cookie)) is None


def test_what_was_sealed_for_another_purpose_is_no_session() -> None:
    gate = gate_at(Clock())
    session = gate.sessions.begin("s-1", "Anna", {}, gate.now())
    for other in (Seal.from_setting(KEY), Seal.from_setting(KEY).for_purpose("something else")):
        text = type(gate.sessions)(other, gate.sessions.lifetime, gate.sessions.idle).close(session)
        assert gate.who(request_with(("cookie", f"{gate.cookies.session}={text}"))) is None


def test_a_form_is_ours_only_in_the_sign_in_that_it_was_made_for() -> None:
    gate = gate_at(Clock())
    one = gate.sessions.begin("s-1", "Anna", {}, gate.now()).member
    again = gate.sessions.begin("s-1", "Anna", {}, gate.now()).member
    assert gate.form_is_ours(one, gate.form_secret(one))
    for given_secret in ("", "x", gate.form_secret(again), gate.form_secret(one)[:-1], "é", "\ud800"):
        assert not gate.form_is_ours(one, given_secret)


# -- the gate that the settings ask for --


def test_without_a_sign_in_the_gate_is_shut() -> None:
    gate = gate_for(Settings(sealing_key=KEY), Clock())
    assert isinstance(gate, ShutGate)
    member = Member("s", "n", {EVERYWHERE: Role.ADMIN})
    assert gate.who(request_with(("cookie", "x=y"))) is None
    assert gate.turn_away(request_with(("cookie", "x=y"))).status_code == 403
    assert not gate.form_is_ours(member, gate.form_secret(member))


def test_the_demo_account_works_on_this_machine() -> None:
    assert isinstance(gate_for(Settings(sealing_key=KEY, staff_sign_in="demo"), Clock()), CookieGate)
    in_a_container = Settings(
        sealing_key=KEY, staff_sign_in="demo", http_host="0.0.0.0", http_published_on_loopback=True
    )
    assert isinstance(gate_for(in_a_container, Clock()), CookieGate)


@pytest.mark.parametrize(
    "settings",
    [
        {"staff_url": "https://staff.nordposten.example"},
        {"staff_url": "http://staff.nordposten.example"},
        {"staff_url": "https://127.0.0.1:8602"},
        {"public_url": "https://svar.nordposten.example"},
        {"http_host": "0.0.0.0"},
        {"http_host": "::"},
        {"http_host": "10.0.0.1"},
    ],
)
def test_the_demo_account_stops_the_start_anywhere_else(settings: dict[str, str]) -> None:
    with pytest.raises(MustStop, match="KVITTERA_STAFF_SIGN_IN=demo"):
        gate_for(Settings.model_validate({"sealing_key": KEY, "staff_sign_in": "demo", **settings}), Clock())


def test_sessions_over_plain_http_stop_the_start() -> None:
    with pytest.raises(MustStop, match="KVITTERA_STAFF_URL must begin with https"):
        gate_at(Clock(), url="http://staff.nordposten.example")


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


# -- strangers --


@pytest.mark.parametrize(
    ("path", "accept", "status", "location"),
    [
        ("/cases", "text/html", 303, "/staff/login?next=/cases"),
        ("/cases/å", "text/html", 303, "/staff/login?next=/cases/%C3%A5"),
        ("/cases", "application/json", 401, None),
        ("/live/events", "text/event-stream", 401, None),
        ("/api/live", "*/*", 401, None),
    ],
)
def test_a_stranger_is_sent_to_the_sign_in_and_a_program_is_told(
    path: str, accept: str, status: int, location: str | None
) -> None:
    reply = gate_at(Clock()).turn_away(request_with(("accept", accept), path))
    assert (reply.status_code, reply.headers.get("location")) == (status, location)
