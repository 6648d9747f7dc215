"""The gate that the settings ask for: cookies with sealed sessions, or shut."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from services.chassis.failures import MustStop
from services.chassis.http import problem
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff.cookies import Cookies
from services.chassis.staff.ended import Ended
from services.chassis.staff.members import Gate, Member
from services.chassis.staff.origins import SAFE_METHODS, is_loopback, origin_of, reached_from_here_only
from services.chassis.staff.sessions import Session, Sessions

SIGN_IN = "/staff/login"
_FOR_PROGRAMS = ("application/json", "text/event-stream")


@dataclass(frozen=True, slots=True)
class CookieGate:
    """Knows members by the sealed session in their cookie."""

    sessions: Sessions
    cookies: Cookies
    origin: str
    now: Callable[[], datetime]
    ended: Ended = field(default_factory=Ended)

    def session(self, connection: HTTPConnection) -> Session | None:
        """The session of a request, None when there is none that holds."""
        text = connection.cookies.get(self.cookies.session)
        session = None if text is None else self.sessions.open(text, self.now())
        if session is None or self.ended.holds(session, self.sessions.alias(session.member.subject)):
            return None
        return session

    def who(self, connection: HTTPConnection) -> Member | None:
        """The signed-in member behind a request, or None."""
        session = self.session(connection)
        return None if session is None else session.member

    def form_secret(self, member: Member) -> str:
        """What each form carries, so that no other site can post it (CSRF)."""
        return self.sessions.form_secret(member)

    def form_is_ours(self, member: Member, given: str) -> bool:
        """Whether a posted form carries the secret of this sign-in."""
        return self.sessions.form_is_ours(member, given)

    def turn_away(self, connection: HTTPConnection) -> Response:
        """To the sign-in for a page, 401 with a problem document for a program."""
        path: str = connection.scope["path"]
        accepted = connection.headers.get("accept", "")
        if path.startswith("/api/") or any(kind in accepted for kind in _FOR_PROGRAMS):
            return problem(401, "Sign in first", f"Open {SIGN_IN} in a browser.")
        # A form that was posted is gone after the sign-in; only a page can be opened again.
        onwards = f"?next={quote(path)}" if connection.scope["method"] in SAFE_METHODS else ""
        return RedirectResponse(f"{SIGN_IN}{onwards}", 303, headers={"cache-control": "no-store"})

    def session_header(self, session: Session) -> str:
        """The `Set-Cookie` header that keeps a session in the browser."""
        seconds = self.sessions.remaining(session, self.now())
        return self.cookies.header(self.cookies.session, self.sessions.close(session), seconds)


@dataclass(frozen=True, slots=True)
class ShutGate:
    """Lets nobody in: the sign-in is off."""

    def who(self, _: HTTPConnection) -> Member | None:
        """Nobody."""
        return None

    def form_secret(self, _: Member) -> str:
        """Nothing: there are no forms."""
        return ""

    def form_is_ours(self, _: Member, __: str) -> bool:
        """No form is."""
        return False

    def turn_away(self, _: HTTPConnection) -> Response:
        """403 with a problem document that names the setting."""
        what = "KVITTERA_STAFF_SIGN_IN=oidc and a provider open it: docs/operations.md, Sign-in for staff."
        return problem(403, "Sign-in for staff is off", what)


def gate_for(settings: Settings, now: Callable[[], datetime]) -> Gate:
    """The gate that the settings ask for.

    Raises:
        MustStop: the settings would let strangers in, or show sessions to them.
    """
    if settings.staff_sign_in == "off":
        return ShutGate()
    return cookie_gate(settings, now)


def cookie_gate(settings: Settings, now: Callable[[], datetime]) -> CookieGate:
    """The gate with sessions in cookies.

    Raises:
        MustStop: see `gate_for`.
    """
    site = settings.staff_url or settings.public_url
    on_this_machine = is_loopback(urlsplit(site).hostname or "")
    secure = urlsplit(site).scheme == "https"
    if settings.staff_sign_in == "demo" and (secure or not on_this_machine or not reached_from_here_only(settings)):
        raise MustStop(
            "KVITTERA_STAFF_SIGN_IN=demo lets anybody in:"
            " it needs KVITTERA_HTTP_HOST (or what KVITTERA_HTTP_PUBLISHED_ON_LOOPBACK promises)"
            " and KVITTERA_STAFF_URL on loopback, with http"
        )
    if not secure and not on_this_machine:
        raise MustStop("KVITTERA_STAFF_URL must begin with https: a session is not sent over plain HTTP")
    return CookieGate(sessions_of(settings), Cookies(secure), origin_of(site), now)


def sessions_of(settings: Settings) -> Sessions:
    """What opens and closes the sessions of an installation, the same in every service."""
    return Sessions(
        Seal.of(settings).for_purpose("staff sessions"),
        lifetime=timedelta(hours=settings.staff_session_hours),
        idle=timedelta(minutes=settings.staff_idle_minutes),
    )
