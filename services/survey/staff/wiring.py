"""The way in for staff put together from the settings."""

import asyncio
from dataclasses import dataclass

from starlette.routing import Route

from services.chassis.lifecycle import Task
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings
from services.chassis.staff.gate import CookieGate
from services.chassis.staff.sign_outs import SignOuts
from services.survey.shared import Shared
from services.survey.staff.directory import Directory
from services.survey.staff.pages import StaffPages
from services.survey.staff.sign_outs import SigningOut
from services.survey.staff.signing_in import Account, DemoAccount, Seen, routes


@dataclass(frozen=True, slots=True)
class SignInParts:
    """What the survey service runs for the sign-in."""

    routes: list[Route]
    watch: Task
    keep: Task
    """Keeps sign-outs that PostgreSQL was away for."""


def sign_in_parts(shared: Shared) -> SignInParts:
    """Put the sign-in together; without routes where staff cannot sign in."""
    pool, gate = shared.pool, shared.gate
    if not isinstance(gate, CookieGate):
        return SignInParts([], _until_stopped, _until_stopped)
    account = _account(shared.settings, gate, shared.metrics, Directory(pool, gate.now).note)
    leaving = SigningOut(pool, gate)
    return SignInParts(routes(gate, *account, leaving.end), SignOuts(pool, gate).watch, leaving.watch)


async def _until_stopped(stop: asyncio.Event) -> None:
    await stop.wait()


def _account(settings: Settings, gate: CookieGate, metrics: Metrics, seen: Seen) -> tuple[Account, StaffPages]:
    pages = StaffPages.load(demo=settings.demo_mark)
    if settings.staff_sign_in == "demo":
        return DemoAccount(gate, pages, seen), pages
    # Where nobody signs in at a provider, its HTTP client and signed tokens are not needed.
    from services.chassis.staff.provider import provider_for
    from services.survey.staff.provider_account import ProviderAccount

    account = ProviderAccount(
        gate,
        pages,
        provider_for(settings, gate.origin),
        gate.sessions.seal,
        settings.oidc_role_claim,
        settings.oidc_role_prefix,
        metrics,
        seen,
    )
    return account, pages
