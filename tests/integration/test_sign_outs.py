"""A session that was signed out of opens nothing any more, wherever its cookie was copied to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlencode

import asyncpg
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from schemas.staff import SessionEnded
from schemas.topics import CARDS, SESSION_ENDED
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.chassis.staff.door import SessionCare, StaffOnly
from services.chassis.staff.gate import gate_for
from services.chassis.staff.sign_outs import KeepSignOuts, SignOuts, heard_sign_outs
from services.chassis.subscriptions import Subscriptions
from services.chassis.topic_admin import apply_topics
from services.chassis.traces import Traces
from services.cli import signout
from services.survey.staff.directory import Directory
from services.survey.staff.pages import StaffPages
from services.survey.staff.sign_outs import SigningOut, end_all
from services.survey.staff.signing_in import DemoAccount, routes
from tests.asgi import ask
from tests.builders import NOON
from tests.harness import produce, until
from tests.staff import FORM, KEY, OURS, Clock, gate_at, signed_in
from tests.tables import empty_pool

pytestmark = pytest.mark.service("survey")


@dataclass
class Process:
    """One process of the survey with its sign-in."""

    pool: Pool
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.gate = gate_at(self.clock)
        self.sign_outs = SignOuts(self.pool, self.gate)
        self.leaving = SigningOut(self.pool, self.gate)
        pages = StaffPages.load(demo=True)
        app = Starlette(routes=routes(self.gate, DemoAccount(self.gate, pages), pages, self.leaving.end))
        self.app = SessionCare(app, self.gate)

    async def opens(self, cookie: tuple[str, str]) -> bool:
        """Whether a page for staff only is shown, as the other services keep theirs."""
        behind = SessionCare(StaffOnly(Starlette(), self.gate, ("/live",)), self.gate)
        return (await ask(behind, "GET", "/live", headers=[cookie])).status == 404

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
        await end_all(connection, here.gate.sessions.alias("s-1"), here.clock())
    await here.sign_outs.look()
    assert [await here.knows(c) for c in cookies] == [False, False]
    here.clock.pass_by(seconds=1)
    assert await here.knows(signed_in(here.gate))


async def test_a_look_for_ended_sessions_that_can_never_work_ends_loudly(pool: Pool) -> None:
    broken = SignOuts(pool, gate_at(Clock()), {"ended_since": "SELECT session FROM nowhere WHERE $1 > now()"})
    with pytest.raises(asyncpg.UndefinedTableError):
        async with asyncio.timeout(10):
            await broken.watch(asyncio.Event())


class Leaky:
    """A pool of a PostgreSQL that goes away and comes back."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.away = pool, True

    def acquire(self) -> object:
        if self.away:
            raise ConnectionRefusedError
        return self.pool.acquire()


async def test_a_sign_out_without_postgresql_says_so_and_reaches_the_others_when_it_is_back(pool: Pool) -> None:
    leaky = Leaky(pool)
    here, there = Process(cast("Pool", leaky)), Process(pool)
    cookie = signed_in(here.gate)
    assert await here.sign_out(cookie) == 503
    assert not await here.knows(cookie)
    await there.sign_outs.look()
    assert await there.knows(cookie)
    await here.leaving.keep_what_waits()
    leaky.away = False
    await here.leaving.keep_what_waits()
    await here.leaving.keep_what_waits()
    await there.sign_outs.look()
    assert not await there.knows(cookie)
    assert await pool.fetchval("SELECT count(*) FROM sign_out") == 1


async def test_a_process_that_is_stopped_tries_once_more_to_keep_a_sign_out(pool: Pool) -> None:
    leaky = Leaky(pool)
    here, there = Process(cast("Pool", leaky)), Process(pool)
    cookie = signed_in(here.gate)
    assert await here.sign_out(cookie) == 503
    leaky.away = False
    stop = asyncio.Event()
    stop.set()
    await here.leaving.watch(stop)
    await there.sign_outs.look()
    assert not await there.knows(cookie)


async def test_the_log_names_whose_sign_outs_are_lost_with_a_process_and_their_sessions_can_be_ended(
    pool: Pool, settings: Settings
) -> None:
    here, there = Process(cast("Pool", Leaky(pool))), Process(pool)
    cookies = [signed_in(here.gate), signed_in(here.gate)]
    assert [await here.sign_out(c) for c in cookies] == [503, 503]
    stop = asyncio.Event()
    stop.set()
    with capture_logs() as lines:
        await here.leaving.watch(stop)
    [lost] = [line for line in lines if line["log_level"] == "error"]
    assert lost["aliases"] == [here.gate.sessions.alias("s-1")]
    async with pool.acquire() as connection:
        await signout.end(connection, settings, lost["aliases"][0], here.clock(), is_alias=True)
    await there.sign_outs.look()
    assert [await there.knows(c) for c in cookies] == [False, False]


@pytest.fixture(params=["notifier", "aggregator"])
async def elsewhere(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, request.param) as empty:
        yield empty


async def tell(survey: Pool, other: Pool) -> None:
    """Let a service hear what the survey put into its outbox."""
    rows = await survey.fetch("SELECT key, value FROM outbox WHERE topic = 'session.ended.v1' ORDER BY id")
    told = [SessionEnded.model_validate_json(r["value"]) for r in rows]
    assert [r["key"].decode() for r in rows] == [m.member for m in told]
    async with other.acquire() as connection, connection.transaction():
        await KeepSignOuts()(connection, [Received(m, None, NOON) for m in told])


async def test_a_copied_cookie_opens_no_page_of_another_service_after_the_sign_out(pool: Pool, elsewhere: Pool) -> None:
    here, there = Process(pool), Process(elsewhere)
    cookie, colleague = signed_in(here.gate), signed_in(here.gate)
    assert await there.opens(cookie)
    await here.sign_out(cookie)
    await tell(pool, elsewhere)
    await there.sign_outs.look()
    assert [await there.opens(cookie), await there.opens(colleague)] == [False, True]


async def test_all_sessions_of_a_member_end_in_every_service(pool: Pool, elsewhere: Pool) -> None:
    here, there = Process(pool), Process(elsewhere)
    cookies = [signed_in(here.gate), signed_in(here.gate)]
    async with pool.acquire() as connection:
        await end_all(connection, here.gate.sessions.alias("s-1"), here.clock())
    await tell(pool, elsewhere)
    await there.sign_outs.look()
    assert [await there.opens(c) for c in cookies] == [False, False]
    there.clock.pass_by(seconds=1)
    assert await there.opens(signed_in(there.gate))


async def test_a_topic_names_no_member_of_staff(pool: Pool) -> None:
    here = Process(pool)
    await here.sign_out(signed_in(here.gate))
    [row] = await pool.fetch("SELECT key, value FROM outbox")
    assert b"s-1" not in row["key"] + row["value"]
    assert b"Anna" not in row["key"] + row["value"]


@pytest.mark.parametrize("elsewhere", ["notifier"], indirect=True)
async def test_a_service_reads_the_sign_outs_from_kafka_where_staff_sign_in(
    settings: Settings, elsewhere: Pool
) -> None:
    await apply_topics(settings, [CARDS[SESSION_ENDED]])
    there = Process(elsewhere)
    cookie = signed_in(there.gate)
    alias = there.gate.sessions.alias("s-1")
    ended = SessionEnded(member=alias, ended_at=there.clock())
    await produce(settings, SESSION_ENDED, [ended.model_dump_json().encode()])
    chosen = settings.model_copy(update={"staff_sign_in": "oidc"})
    tasks = heard_sign_outs(
        Subscriptions(chosen, "notifier", 8600, elsewhere, Metrics(), Traces("notifier")), there.gate
    )
    assert await there.opens(cookie)
    stop = asyncio.Event()

    async def until_heard() -> None:
        await until(lambda: elsewhere.fetchval("SELECT EXISTS (SELECT FROM sign_out)"), stop)
        await there.sign_outs.look()
        stop.set()

    await asyncio.gather(until_heard(), *(task(stop) for task in tasks.values()))
    assert not await there.opens(cookie)


@pytest.mark.parametrize("sign_in", ["off", "demo"])
def test_nothing_is_read_where_nobody_signs_in_or_anybody_may(sign_in: str) -> None:
    settings = Settings.model_validate({"sealing_key": KEY, "staff_sign_in": sign_in})
    nothing = cast("Pool", None)
    subscriptions = Subscriptions(settings, "notifier", 8600, nothing, Metrics(), Traces("notifier"))
    assert heard_sign_outs(subscriptions, gate_for(settings, Clock())) == {}


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
