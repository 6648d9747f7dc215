"""The demo's account, and who is signed in."""

from urllib.parse import urlencode

import pytest

from services.chassis.staff import EVERYWHERE, Role
from services.chassis.web import csp_hash
from tests.asgi import Reply, ask
from tests.staff import FORM, Clock, gate_at, signed_in, site

LOOPBACK = "http://127.0.0.1:8600"


async def choose(**fields: str) -> Reply:
    gate = gate_at(Clock(), LOOPBACK, staff_sign_in="demo")
    headers = [FORM, ("origin", LOOPBACK)]
    return await ask(site(gate), "POST", "/staff/login", headers=headers, parts=[urlencode(fields).encode()])


@pytest.mark.parametrize(
    ("terminal", "roles"), [("", {"*": "agent"}), ("Årsta", {"Årsta": "agent"})], ids=["everywhere", "one"]
)
async def test_who_chooses_a_role_has_it_at_the_terminal_or_everywhere(terminal: str, roles: dict[str, str]) -> None:
    reply = await choose(role="agent", terminal=terminal)
    assert (reply.status, reply.headers["location"]) == (303, "/staff")
    cookie = ("cookie", reply.headers["set-cookie"].partition(";")[0])
    gate = gate_at(Clock(), LOOPBACK, staff_sign_in="demo")
    me = await ask(site(gate), "GET", "/staff/me", headers=[cookie])
    assert me.json == {"name": "Demo agent", "roles": roles}


@pytest.mark.parametrize(
    "fields", [{}, {"role": "owner"}, {"role": "lead", "terminal": "a" * 81}, {"role": "lead", "terminal": "a\x00"}]
)
async def test_a_role_that_does_not_exist_is_refused(fields: dict[str, str]) -> None:
    reply = await choose(**fields)
    assert reply.status == 422
    assert "set-cookie" not in reply.headers


async def test_the_page_to_choose_offers_every_role_says_demo_and_allows_its_own_style_only() -> None:
    gate = gate_at(Clock(), LOOPBACK, staff_sign_in="demo")
    page = await ask(site(gate), "GET", "/staff/login?next=/cases")
    for role in ("reader", "agent", "lead", "admin"):
        assert f'value="{role}"' in page.text
    assert "demo data" in page.text
    assert 'name="next" value="/cases"' in page.text
    style = page.body.decode().partition("<style>")[2].partition("</style>")[0]
    assert csp_hash(style) in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


async def test_the_page_of_a_member_tells_name_and_roles_and_holds_the_way_out() -> None:
    gate = gate_at(Clock())
    cookie = signed_in(gate, {EVERYWHERE: Role.READER, "<Luleå>": Role.LEAD})
    page = await ask(site(gate), "GET", "/staff", headers=[cookie])
    assert "Anna Lund" in page.text
    assert "Every terminal" in page.text
    assert "&lt;Luleå&gt;" in page.body.decode()
    session = gate.sessions.open(cookie[1].partition("=")[2], gate.now())
    assert session is not None
    assert gate.form_secret(session.member) in page.text


async def test_a_stranger_has_no_page_and_is_nobody() -> None:
    app = site(gate_at(Clock()))
    page = await ask(app, "GET", "/staff", headers=[("accept", "text/html")])
    assert (page.status, page.headers["location"]) == (303, "/staff/login?next=/staff")
    assert (await ask(app, "GET", "/staff/me")).status == 401


async def test_a_form_too_large_is_not_read() -> None:
    gate = gate_at(Clock(), LOOPBACK, staff_sign_in="demo")
    headers = [FORM, ("origin", LOOPBACK)]
    reply = await ask(site(gate), "POST", "/staff/login", headers=headers, parts=[b"role=lead&x=" + b"a" * 4096])
    assert reply.status == 422
