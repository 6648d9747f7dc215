"""ASGI layers of the sign-in: what every request of a session goes through, and pages for staff only."""

from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.http import problem
from services.chassis.settings import Settings
from services.chassis.staff.gate import CookieGate
from services.chassis.staff.members import Gate, Role
from services.chassis.staff.origins import SAFE_METHODS, comes_from_our_pages, reached_from_here_only


@dataclass(frozen=True, slots=True)
class SessionCare:
    """Notes that a session is used, and refuses what other sites make a browser with a session send (row 6)."""

    app: ASGIApp
    gate: Gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        gate = self.gate
        if scope["type"] != "http" or not isinstance(gate, CookieGate):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        session = gate.session(connection)
        if session is None:
            await self.app(scope, receive, send)
            return
        if scope["method"] not in SAFE_METHODS and not comes_from_our_pages(connection.headers, gate.origin):
            await problem(403, "This request did not come from our pages")(scope, receive, send)
            return
        renewed = gate.sessions.renewed(session, gate.now())

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and renewed is not None:
                headers = MutableHeaders(scope=message)
                if "set-cookie" not in headers:  # a sign-out takes the cookie away, and it stays away
                    headers.append("set-cookie", gate.session_header(renewed))
            await send(message)

        await self.app(scope, receive, send_with_cookie)


@dataclass(frozen=True, slots=True)
class StaffOnly:
    """Asks the gate before every path that begins with one of `paths`."""

    app: ASGIApp
    gate: Gate
    paths: tuple[str, ...]
    role: Role = Role.READER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request of a member on, and turn strangers away."""
        if scope["type"] != "http" or not scope["path"].startswith(self.paths):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        member = self.gate.who(connection)
        if member is None:
            await self.gate.turn_away(connection)(scope, receive, send)
        elif not member.may(self.role):
            await problem(403, "Your role does not allow this")(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def behind_sign_in(app: ASGIApp, settings: Settings, gate: Gate, paths: tuple[str, ...]) -> ASGIApp:
    """The application with `paths` for staff only, where others than this machine can reach it.

    In the demo, and without a sign-in where only this machine reaches them, they stay open: these pages show no
    contact data of real people.
    """
    if settings.staff_sign_in == "demo" or (settings.staff_sign_in == "off" and reached_from_here_only(settings)):
        return app
    return SessionCare(StaffOnly(app, gate, paths), gate)
