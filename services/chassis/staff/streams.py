"""Event streams of staff pages, which end when the sign-in they were opened with is over."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from starlette.requests import HTTPConnection

from services.chassis.staff.gate import CookieGate
from services.chassis.staff.members import Gate

_OVER: Final = b"event: over\ndata: {}\n\n"


def lasts(gate: Gate, connection: HTTPConnection) -> Callable[[], bool]:
    """Whether the sign-in of a request still holds, asked again and again.

    Where pages are open to everybody there is no session, and nothing ends. How long a session lies idle does not
    count: the browser renews its cookie with other requests, which the stream cannot see.
    """
    session = gate.session(connection) if isinstance(gate, CookieGate) else None
    if session is None or not isinstance(gate, CookieGate):
        return lambda: True
    alias = gate.sessions.alias(session.member.subject)
    until = session.began + gate.sessions.lifetime
    return lambda: gate.now() < until and not gate.ended.holds(session, alias)


async def while_signed_in(events: AsyncGenerator[bytes], holds: Callable[[], bool]) -> AsyncGenerator[bytes]:
    """Pass events on until the sign-in is over; then say so and end. Streams say something each second."""
    async with aclosing(events):
        async for event in events:
            if not holds():
                yield _OVER
                return
            yield event
