"""Signing in at an OpenID provider: what the browser holds between leaving for it and coming back."""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.chassis.staff.gate import CookieGate
from services.chassis.staff.id_tokens import NotSignedIn, name_of, roles_of
from services.chassis.staff.origins import path_of_ours
from services.chassis.staff.provider import Provider, ProviderAway
from services.chassis.staff.sessions import LONGEST_COOKIE
from services.survey.staff.pages import StaffPages
from services.survey.staff.signing_in import HOME, Seen, unseen, welcome

log = structlog.get_logger()
_ROW = "staff sign-in attempt"
_PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the provider and back."""

    state: str
    nonce: str
    verifier: str
    onwards: str


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """The accounts of a provider; roles come from a claim."""

    gate: CookieGate
    pages: StaffPages
    provider: Provider
    seal: Seal
    role_claim: str
    role_prefix: str
    metrics: Metrics
    seen: Seen = unseen

    async def login(self, request: Request) -> Response:
        """Send the browser to the provider, and note in a sealed cookie what must come back."""
        onwards = path_of_ours(request.query_params.get("next"), HOME)
        attempt = Attempt(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), onwards)
        try:
            url = await self.provider.authorization_url(
                state=attempt.state, nonce=attempt.nonce, verifier=attempt.verifier
            )
        except ProviderAway as error:
            return self._away(error)
        cookie = self._attempt_header(self._close(attempt), int(_PATIENCE.total_seconds()))
        return RedirectResponse(url, 303, headers={"cache-control": "no-store", "set-cookie": cookie})

    async def callback(self, request: Request) -> Response:
        """Check what came back, and begin the session."""
        try:
            response = await self._signed_in(request)
        except ProviderAway as error:
            response = self._away(error)
        except NotSignedIn as refused:
            log.warning("sign-in refused", action="refuse", reason=refused.reason)
            self.metrics.count("kvittera_staff_sign_ins_total", result="refused")
            response = self._notice(401, "Not signed in", "The sign-in did not work. Please try again.")
        # Whatever came of it: a way to the provider is gone only once.
        response.headers.append("set-cookie", self._attempt_header("", 0))
        return response

    async def _signed_in(self, request: Request) -> Response:
        query = request.query_params
        attempt = self._open(request.cookies.get(self.gate.cookies.attempt, ""))
        if attempt is None or not hmac.compare_digest(query.get("state", "").encode(), attempt.state.encode()):
            raise NotSignedIn("state")
        if query.get("iss", self.provider.issuer) != self.provider.issuer:  # RFC 9207
            raise NotSignedIn("iss")
        if "error" in query or not query.get("code"):
            raise NotSignedIn("provider")
        now = self.gate.now()
        claims = await self.provider.claims(query["code"], nonce=attempt.nonce, verifier=attempt.verifier, now=now)
        roles = roles_of(claims, self.role_claim, self.role_prefix)
        session = self.gate.sessions.begin(claims["sub"], name_of(claims), roles, now)
        if not roles or len(self.gate.sessions.close(session)) > LONGEST_COOKIE:
            self.metrics.count("kvittera_staff_sign_ins_total", result="no_role")
            return self._notice(403, "No role here", "Your account has no role in Kvittera, or more than fit.")
        log.info("member signed in", subject=session.member.subject)
        self.metrics.count("kvittera_staff_sign_ins_total", result="signed_in")
        await self.seen(session.member)
        return welcome(self.gate, session, attempt.onwards)

    def _away(self, error: ProviderAway) -> Response:
        log.warning("sign-in provider away", action="refuse", error=str(error))
        self.metrics.count("kvittera_staff_sign_ins_total", result="provider_away")
        return self._notice(503, "The sign-in does not answer", "Please try again in a moment.")

    def _notice(self, status: int, title: str, text: str) -> Response:
        body = self.pages.notice(title, text)
        return Response(body, status, headers=self.pages.headers, media_type="text/html")

    def _attempt_header(self, value: str, seconds: int) -> str:
        return self.gate.cookies.header(self.gate.cookies.attempt, value, seconds)

    def _close(self, attempt: Attempt) -> str:
        until = (self.gate.now() + _PATIENCE).timestamp()
        told = [attempt.state, attempt.nonce, attempt.verifier, attempt.onwards, until]
        return base64.urlsafe_b64encode(self.seal.close(orjson.dumps(told).decode(), _ROW)).decode()

    def _open(self, text: str) -> Attempt | None:
        try:
            sealed = base64.b64decode(text, altchars=b"-_", validate=True)
            state, nonce, verifier, onwards, until = orjson.loads(self.seal.open(sealed, _ROW))
        except (Poison, binascii.Error, ValueError):
            return None
        return Attempt(state, nonce, verifier, onwards) if self.gate.now().timestamp() < until else None
