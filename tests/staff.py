"""Staff for tests: a gate with a clock that the test sets, and requests of a browser that is signed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.chassis.settings import Settings
from services.chassis.staff import EVERYWHERE, Role
from services.chassis.staff.door import SessionCare
from services.chassis.staff.gate import CookieGate, cookie_gate
from services.survey.staff.pages import StaffPages
from services.survey.staff.signing_in import DemoAccount, routes
from tests.builders import NOON

OURS = "https://staff.nordposten.example"
KEY = SecretStr("5e" * 32)
FORM = ("content-type", "application/x-www-form-urlencoded")


@dataclass
class Clock:
    """The time of a test."""

    now: datetime = field(default=NOON)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **how_long: float) -> None:
        self.now += timedelta(**how_long)


def gate_at(clock: Clock, url: str = OURS, **settings: object) -> CookieGate:
    """The gate of a site, open with the demo's account only where that may be."""
    chosen = {"staff_url": url, "sealing_key": KEY, "staff_sign_in": "oidc", **settings}
    return cookie_gate(Settings.model_validate(chosen), clock)


def signed_in(gate: CookieGate, roles: Mapping[str, Role] | None = None) -> tuple[str, str]:
    """The cookie header of somebody who signed in now."""
    session = gate.sessions.begin("s-1", "Anna Lund", {EVERYWHERE: Role.LEAD} if roles is None else roles, gate.now())
    return "cookie", gate.session_header(session).partition(";")[0]


def site(gate: CookieGate) -> SessionCare:
    """The sign-in of the demo, with one page more that anybody may post to."""
    pages = StaffPages.load(demo=True)

    async def anything(_: object) -> PlainTextResponse:
        return PlainTextResponse("done")

    app = Starlette(
        routes=[
            *routes(gate, DemoAccount(gate, pages), pages),
            Route("/cases/1", anything, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]
    )
    return SessionCare(app, gate)
