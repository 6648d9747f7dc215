"""Pages for staff are shut wherever strangers could reach them."""

import pytest
from starlette.types import ASGIApp

from services.aggregator.app import FOR_STAFF as AGGREGATOR
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings
from services.chassis.staff import Role
from services.chassis.staff.door import StaffOnly, behind_sign_in
from services.chassis.staff.gate import gate_for
from services.notifier.app import FOR_STAFF as NOTIFIER
from tests.asgi import ask
from tests.staff import KEY, OURS, Clock, gate_at, signed_in

STAFF_PATHS = [
    "/live",
    "/live/events",
    "/live/assets/page.js",
    "/api/live",
    "/terminals/Luleå",
    "/api/cells",
    "/outbox/messages",
    "/decisions/D-1",
    "/ledger",
]


async def ready() -> str | None:
    return None


def app_with(**settings: object) -> ASGIApp:
    """Only health and metrics behind the door: whoever comes through to a page of staff gets 404."""
    chosen = Settings.model_validate({"sealing_key": KEY, **settings})
    return behind_sign_in(
        make_app([], ready=ready, metrics=Metrics()), chosen, gate_for(chosen, Clock()), (*AGGREGATOR, *NOTIFIER)
    )


@pytest.mark.parametrize("path", STAFF_PATHS)
async def test_with_a_provider_strangers_are_sent_to_the_sign_in_and_members_let_in(path: str) -> None:
    app = app_with(staff_sign_in="oidc", staff_url=OURS)
    for method in ("GET", "HEAD", "POST"):
        assert (await ask(app, method, path, headers=[("accept", "application/json")])).status == 401
    assert (await ask(app, "GET", path, headers=[signed_in(gate_at(Clock()))])).status == 404


async def test_a_member_without_the_role_is_refused() -> None:
    gate = gate_at(Clock())
    app = StaffOnly(make_app([], ready=ready, metrics=Metrics()), gate, ("/live",), Role.ADMIN)
    assert (await ask(app, "GET", "/live", headers=[signed_in(gate)])).status == 403


@pytest.mark.parametrize("path", STAFF_PATHS)
async def test_without_a_sign_in_they_are_shut_on_every_address_but_loopback(path: str) -> None:
    assert (await ask(app_with(http_host="0.0.0.0"), "GET", path)).status == 403
    assert (await ask(app_with(), "GET", path)).status == 404
    in_a_container = app_with(http_host="0.0.0.0", http_published_on_loopback=True)
    assert (await ask(in_a_container, "GET", path)).status == 404


@pytest.mark.parametrize("path", STAFF_PATHS)
async def test_in_the_demo_they_are_open(path: str) -> None:
    assert (await ask(app_with(staff_sign_in="demo"), "GET", path)).status == 404


async def test_closed_months_are_public_and_a_drivers_page_asks_by_itself() -> None:
    app = app_with(staff_sign_in="oidc", staff_url=OURS)
    for path in ("/quality", "/quality/2026-09", "/drivers/me"):
        assert (await ask(app, "GET", path)).status == 404


async def test_health_asks_nobody_who_they_are() -> None:
    app = app_with(http_host="0.0.0.0")
    assert (await ask(app, "GET", "/health/ready")).status == 200
