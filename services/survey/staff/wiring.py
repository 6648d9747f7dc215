"""The way in for staff put together from the settings."""

from starlette.routing import Route

from services.chassis.metrics import Metrics
from services.chassis.settings import Settings
from services.chassis.staff import Gate
from services.chassis.staff.gate import CookieGate
from services.chassis.staff.provider import provider_for
from services.survey.staff.pages import StaffPages
from services.survey.staff.provider_account import ProviderAccount
from services.survey.staff.signing_in import DemoAccount, routes


def sign_in_routes(settings: Settings, gate: Gate, metrics: Metrics) -> list[Route]:
    """The routes of the sign-in; none where staff cannot sign in."""
    if not isinstance(gate, CookieGate):
        return []
    pages = StaffPages.load(demo=settings.demo_mark)
    if settings.staff_sign_in == "demo":
        return routes(gate, DemoAccount(gate, pages), pages)
    account = ProviderAccount(
        gate,
        pages,
        provider_for(settings, gate.origin),
        gate.sessions.seal,
        settings.oidc_role_claim,
        settings.oidc_role_prefix,
        metrics,
    )
    return routes(gate, account, pages)
