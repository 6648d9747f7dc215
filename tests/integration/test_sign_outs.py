"""A session that was signed out of opens nothing any more, wherever its cookie was copied to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.chassis.staff.door import SessionCare
from services.survey.staff.directory import Directory
from services.survey.staff.pages import StaffPages
from services.survey.staff.sign_outs import SignOuts, end_all
from services.survey.staff.signing_in import DemoAccount, routes
from tests.asgi import ask
from tests.staff import FORM, OURS, Clock, gate_at, signed_in
from tests.tables import empty_pool

EIGHT_HOURS = timedelta(hours=8)


@pytest.fixture
async def pool(shared_settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(shared_settings, "survey") as empty:
        yield empty


@dataclass
class Process:
    """One process of the survey with its sign-in."""

    pool: Pool
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.gate = gate_at(self.clock)
        self.sign_outs = SignOuts(self.pool, self.gate.ended, EIGHT_HOURS, self.clock)
        pages = StaffPages.load(demo=True)
        app = Starlette(routes=routes(self.gate, DemoAccount(self.gate, pages), pages, self.sign_outs.end))
        self.app = SessionCare(app, self.gate)

    async def knows(self, cookie: tuple[str, str]) -> bool:
        return (await ask(self.app, "GET", "/staff/me", headers=[cookie])).status == 200

    async def sign_out(self, cookie: tuple[str, str]) -> int:
        session = self.gate.sessions.open(cookie[1].partition("=")[2], self.clock())
        assert session is not None
        body = urlencode({"form_secret": self.gate.form_secret(session.member)}).encode()
        headers = [cookie, FORM, ("origin", OURS)]
        return (await ask(self.app, "POST", "/staff/logout", headers=headers, parts=[body])).status


async def test_a_copied_cookie_opens_nothing_after_the_sign_out_in_any_process(pool: Pool) -> None:
    here, there = Process(pool), Process(pool)
    cookie, colleague = signed_in(here.gate), signed_in(here.gate)
    assert await here.knows(cookie)
    assert await there.knows(cookie)
    assert await here.sign_out(cookie) == 200
    assert not await here.knows(cookie)
    await there.sign_outs.look()
    assert not await there.knows(cookie)
    await here.sign_outs.look()
    assert not await here.knows(cookie)
    assert await there.knows(colleague)


async def test_all_sessions_of_a_member_end_at_once_and_the_next_sign_in_holds(pool: Pool) -> None:
    here = Process(pool)
    cookies = [signed_in(here.gate), signed_in(here.gate)]
    here.clock.pass_by(minutes=1)
    async with pool.acquire() as connection:
        await end_all(connection, "s-1", here.clock())
    await here.sign_outs.look()
    assert [await here.knows(c) for c in cookies] == [False, False]
    here.clock.pass_by(seconds=1)
    assert await here.knows(signed_in(here.gate))


async def test_sign_outs_are_forgotten_when_their_sessions_are_over_by_themselves(pool: Pool) -> None:
    here = Process(pool)
    await here.sign_out(signed_in(here.gate))
    here.clock.pass_by(hours=8, seconds=1)
    await here.sign_outs.look()
    assert (here.gate.ended.sessions, await pool.fetchval("SELECT count(*) FROM sign_out")) == ({}, 0)


async def test_who_signs_in_can_be_given_cases_from_then_on(pool: Pool) -> None:
    loopback = "http://127.0.0.1:8600"
    gate, pages = gate_at(Clock(), loopback, staff_sign_in="demo"), StaffPages.load(demo=True)
    directory = Directory(pool, gate.now)
    app = Starlette(routes=routes(gate, DemoAccount(gate, pages, directory.note), pages))
    for role in ("reader", "agent"):
        body = urlencode({"role": role, "terminal": "Årsta"}).encode()
        reply = await ask(app, "POST", "/staff/login", headers=[FORM, ("origin", loopback)], parts=[body])
        assert reply.status == 303
    assert await directory.working(["Årsta", "Malmö"]) == {"demo-agent": "Demo agent"}
    assert await directory.working(["Malmö"]) == {}
