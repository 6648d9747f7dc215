"""Rows 6 and 17: no other site posts a form of staff, and the sign-in sends nobody elsewhere."""

from urllib.parse import urlencode

import pytest

from tests.asgi import Reply, ask
from tests.staff import FORM, OURS, Clock, gate_at, signed_in, site

LOOPBACK = "http://127.0.0.1:8600"
SAME_SITE = ("sec-fetch-site", "same-origin")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "https://staff.nordposten.example.evil.example")],
        [("origin", "http://staff.nordposten.example")],
        [("origin", "https://staff.nordposten.example:8443")],
        [("origin", OURS), ("sec-fetch-site", "cross-site")],
        [("origin", OURS), ("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example"), ("sec-fetch-site", "none")],
        [("referer", OURS + "/cases")],
        [("origin", "https://evil.example"), ("content-type", "text/plain")],
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_another_site_makes_a_signed_in_browser_send_is_refused(
    method: str, headers: list[tuple[str, str]]
) -> None:
    gate = gate_at(Clock())
    reply = await ask(site(gate), method, "/cases/1", headers=[signed_in(gate), *headers], parts=[b'{"state":"x"}'])
    assert reply.status == 403


@pytest.mark.parametrize("headers", [[("origin", OURS)], [SAME_SITE, ("origin", "null")], [SAME_SITE]])
async def test_our_own_pages_post(headers: list[tuple[str, str]]) -> None:
    gate = gate_at(Clock())
    assert (await ask(site(gate), "POST", "/cases/1", headers=[signed_in(gate), *headers])).status == 200


async def test_a_link_from_a_mail_opens_a_page() -> None:
    gate = gate_at(Clock())
    from_mail = ("sec-fetch-site", "cross-site")
    assert (await ask(site(gate), "GET", "/cases/1", headers=[signed_in(gate), from_mail])).status == 200


async def sign_in(onwards: str | None, role: str = "lead", **headers: str) -> Reply:
    gate = gate_at(Clock(), LOOPBACK, staff_sign_in="demo")
    fields = {"role": role, **({} if onwards is None else {"next": onwards})}
    given = headers or {"origin": LOOPBACK}
    return await ask(
        site(gate), "POST", "/staff/login", headers=[FORM, *given.items()], parts=[urlencode(fields).encode()]
    )


async def test_no_other_site_signs_a_browser_in() -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"x": "y"}):
        reply = await sign_in("/cases", **headers)
        assert reply.status == 403
        assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("form_secret", ["", "guessed"])
async def test_signing_out_needs_the_form_of_this_sign_in(form_secret: str) -> None:
    gate = gate_at(Clock())
    headers = [signed_in(gate), FORM, ("origin", OURS)]
    reply = await ask(
        site(gate), "POST", "/staff/logout", headers=headers, parts=[f"form_secret={form_secret}".encode()]
    )
    assert reply.status == 403
    assert "set-cookie" not in reply.headers


async def test_signing_out_takes_the_cookie_away_and_no_renewal_brings_it_back() -> None:
    clock = Clock()
    gate = gate_at(clock)
    cookie = signed_in(gate)
    member = gate.sessions.open(cookie[1].partition("=")[2], clock())
    assert member is not None
    clock.pass_by(minutes=30)
    body = urlencode({"form_secret": gate.form_secret(member.member)}).encode()
    reply = await ask(site(gate), "POST", "/staff/logout", headers=[cookie, FORM, ("origin", OURS)], parts=[body])
    assert (reply.status, reply.headers["set-cookie"].split("; ")[:2]) == (200, ["__Host-kvittera=", "Max-Age=0"])


# -- row 17 --

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "https:evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/cases\r\nset-cookie: a=b",
    "/cases?next=//evil.example",
    "cases",
    "",
    "/å",
    "/" + "a" * 600,
]


@pytest.mark.parametrize("onwards", ELSEWHERE)
async def test_the_sign_in_never_leads_elsewhere(onwards: str) -> None:
    reply = await sign_in(onwards)
    assert (reply.status, reply.headers["location"]) == (303, "/staff")
    gate = gate_at(Clock(), LOOPBACK, staff_sign_in="demo")
    shown = await ask(site(gate), "GET", "/staff/login?" + urlencode({"next": onwards}))
    assert 'name="next" value="/staff"' in shown.body.decode()


@pytest.mark.parametrize("onwards", ["/cases", "/cases/%C3%A5", "/praise/2026-10-13", "/"])
async def test_the_sign_in_leads_back_to_the_page_that_was_asked_for(onwards: str) -> None:
    assert (await sign_in(onwards)).headers["location"] == onwards
