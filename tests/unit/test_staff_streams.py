"""Event streams of staff end with the sign-in that they were opened with."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from starlette.requests import HTTPConnection

from services.chassis.staff.gate import CookieGate, ShutGate
from services.chassis.staff.streams import lasts, while_signed_in
from tests.builders import NOON
from tests.staff import Clock, gate_at, signed_in


def asking(cookie: tuple[str, str] | None) -> HTTPConnection:
    headers = [] if cookie is None else [(cookie[0].encode(), cookie[1].encode())]
    return HTTPConnection({"type": "http", "path": "/live/events", "headers": headers})


async def ticks() -> AsyncGenerator[bytes]:
    while True:
        yield b"event: tick\n\n"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> CookieGate:
    return gate_at(clock, staff_session_hours=12, staff_idle_minutes=30)


async def test_a_stream_ends_with_the_next_event_after_its_session_was_ended(gate: CookieGate) -> None:
    request = asking(signed_in(gate))
    session = gate.session(request)
    assert session is not None
    events = while_signed_in(ticks(), lasts(gate, request))
    assert await anext(events) == b"event: tick\n\n"
    gate.ended.sessions = {session.member.session: NOON}
    assert [event async for event in events] == [b"event: over\ndata: {}\n\n"]


async def test_streams_of_other_sessions_go_on(gate: CookieGate) -> None:
    request = asking(signed_in(gate))
    gate.ended.sessions = {"another": NOON}
    gate.ended.members = {gate.sessions.alias("s-2"): NOON + timedelta(hours=1)}
    events = while_signed_in(ticks(), lasts(gate, request))
    assert [await anext(events) for _ in range(3)] == [b"event: tick\n\n"] * 3
    await events.aclose()


def test_a_stream_ends_when_all_sessions_of_its_member_are_ended(gate: CookieGate) -> None:
    holds = lasts(gate, asking(signed_in(gate)))
    gate.ended.members = {gate.sessions.alias("s-1"): NOON}
    assert not holds()


def test_a_stream_ends_at_the_end_of_the_session_but_not_while_the_browser_only_looks_on(
    gate: CookieGate, clock: Clock
) -> None:
    holds = lasts(gate, asking(signed_in(gate)))
    clock.pass_by(minutes=45)
    assert holds()
    clock.pass_by(hours=12)
    assert not holds()


def test_streams_of_open_pages_have_no_session_to_end(gate: CookieGate) -> None:
    assert lasts(gate, asking(None))()
    assert lasts(ShutGate(), asking(None))()
