"""What every service's HTTP has around its routes."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from tests.asgi import ask


async def always() -> None:
    return None


async def test_a_body_that_ends_early_is_no_fault_of_ours() -> None:
    async def read(_: Request) -> Response:
        raise ClientDisconnect

    app = make_app([Route("/", read, methods=["POST"])], ready=always, metrics=Metrics())
    assert (await ask(app, "POST", "/")).status == 400  # else it is raised again, and logged with its traceback
