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


async def test_a_path_with_a_slash_too_many_leads_nowhere_the_host_header_says() -> None:
    async def page(_: Request) -> Response:
        return Response("ok")

    app = make_app([Route("/cases", page)], ready=always, metrics=Metrics())
    reply = await ask(app, "GET", "/cases/", headers=[("host", "evil.example")])
    assert (reply.status, reply.headers.get("location")) == (404, None)


async def test_a_browser_takes_no_problem_and_no_json_for_a_page() -> None:
    app = make_app([], ready=always, metrics=Metrics())
    replies = [await ask(app, "GET", path) for path in ("/health/live", "/nowhere")]
    assert [reply.status for reply in replies] == [200, 404]
    assert [reply.headers["x-content-type-options"] for reply in replies] == ["nosniff", "nosniff"]
