"""Signing in and out over HTTP, and who is signed in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.chassis.forms import first_values
from services.chassis.http import json_response, problem
from services.chassis.staff import EVERYWHERE, Member, Role
from services.chassis.staff.gate import SIGN_IN, CookieGate
from services.chassis.staff.origins import comes_from_our_pages, path_of_ours
from services.chassis.staff.sessions import Session
from services.survey.staff.pages import StaffPages

HOME = "/staff"
_LONGEST_FORM = 4096
_LONGEST_PLACE = 80
_NO_STORE = {"cache-control": "no-store"}
_SIGNED_OUT = ("Signed out", "You are signed out on this device.")
_HERE_ONLY = (
    "The database does not answer. The other servers hear of your sign-out when it does, unless this server is"
    " restarted before; until then a copy of your session would open pages there. If you fear that there is one,"
    " ask for all your sessions to be ended."
)
"""What ends them all is `kvittera signout`."""
_SIGNED_OUT_HERE = ("Signed out on this device only", _HERE_ONLY)


Seen = Callable[[Member], Awaitable[None]]
"""Is told of each member who signs in."""
Leave = Callable[[Member], Awaitable[bool]]
"""Ends the session of a member; returns whether every process will hear of it."""


async def unseen(_: Member) -> None:
    """Note nothing."""


async def only_here(_: Member) -> bool:
    """Keep nothing: what the browser holds is all there is."""
    return True


class Account(Protocol):
    """A way to sign in: what `/staff/login` and `/staff/callback` do."""

    async def login(self, request: Request) -> Response:
        """Begin."""

    async def callback(self, request: Request) -> Response:
        """Go on when the provider sends the browser back."""


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Anybody may be anyone. The gate refuses to start with it anywhere but on loopback."""

    gate: CookieGate
    pages: StaffPages
    seen: Seen = unseen

    async def login(self, request: Request) -> Response:
        """GET shows the roles, POST takes one."""
        if request.method != "POST":
            onwards = path_of_ours(request.query_params.get("next"), HOME)
            return Response(self.pages.choose_account(onwards), headers=self.pages.headers, media_type="text/html")
        if not comes_from_our_pages(request.headers, self.gate.origin):
            return problem(403, "This request did not come from our pages")
        fields = await first_values(request, longest=_LONGEST_FORM)
        role = fields.get("role", "").upper()
        terminal = fields.get("terminal", "").strip()
        if role not in Role.__members__ or len(terminal) > _LONGEST_PLACE or not terminal.isprintable():
            return problem(422, "role must be one of the offered, terminal a short name")
        roles = {terminal or EVERYWHERE: Role[role]}
        session = self.gate.sessions.begin(f"demo-{role.lower()}", f"Demo {role.lower()}", roles, self.gate.now())
        await self.seen(session.member)
        return welcome(self.gate, session, path_of_ours(fields.get("next"), HOME))

    async def callback(self, _: Request) -> Response:
        """The demo has no provider."""
        return problem(404, "Not Found")


def welcome(gate: CookieGate, session: Session, onwards: str) -> Response:
    """Keep the session in the browser and go on."""
    headers = {**_NO_STORE, "set-cookie": gate.session_header(session)}
    return RedirectResponse(onwards, 303, headers=headers)


def routes(gate: CookieGate, account: Account, pages: StaffPages, end: Leave = only_here) -> list[Route]:
    """The routes of the sign-in; `end` makes a session that was signed out of void, wherever its cookie went."""

    async def home(request: Request) -> Response:
        member = gate.who(request)
        if member is None:
            return gate.turn_away(request)
        body = pages.signed_in(member, gate.form_secret(member))
        return Response(body, headers=pages.headers, media_type="text/html")

    async def me(request: Request) -> Response:
        member = gate.who(request)
        if member is None:
            return problem(401, "Sign in first", f"Open {SIGN_IN} in a browser.")
        roles = {terminal: role.name.lower() for terminal, role in member.roles.items()}
        return json_response({"name": member.name, "roles": roles}, headers=_NO_STORE)

    async def logout(request: Request) -> Response:
        member = gate.who(request)
        fields = await first_values(request, longest=_LONGEST_FORM)
        if member is not None and not gate.form_is_ours(member, fields.get("form_secret", "")):
            return problem(403, "This request did not come from our pages")
        kept = member is None or await end(member)
        headers = {**pages.headers, "set-cookie": gate.cookies.header(gate.cookies.session, "", 0)}
        body = pages.notice(*(_SIGNED_OUT if kept else _SIGNED_OUT_HERE))
        return Response(body, 200 if kept else 503, headers=headers, media_type="text/html")

    return [
        Route("/staff", home),
        Route("/staff/me", me),
        Route("/staff/login", account.login, methods=["GET", "POST"]),
        Route("/staff/callback", account.callback),
        Route("/staff/logout", logout, methods=["POST"]),
    ]
