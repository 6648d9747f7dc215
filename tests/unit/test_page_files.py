"""Files of staff pages over HTTP: by name, asked for again only where they changed."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from services.chassis.web.files import PageFile, file_endpoint
from tests.asgi import ask

APP = Starlette(routes=[Route("/x/{name:str}", file_endpoint({"a.js": PageFile(b"let a", "text/javascript")}))])


async def test_a_file_is_given_once_and_then_only_named_while_it_stays_the_same() -> None:
    given = await ask(APP, "GET", "/x/a.js")
    assert (given.status, given.body) == (200, b"let a")
    assert given.headers["content-type"] == "text/javascript"
    assert given.headers["x-content-type-options"] == "nosniff"
    again = await ask(APP, "GET", "/x/a.js", headers=[("if-none-match", given.headers["etag"])])
    assert (again.status, again.body) == (304, b"")
    other = await ask(APP, "GET", "/x/a.js", headers=[("if-none-match", '"another"')])
    assert (other.status, other.body) == (200, b"let a")
    assert PageFile(b"let b", "").etag != given.headers["etag"]


async def test_no_other_file_of_the_machine_is_given() -> None:
    for name in ("b.js", "..%2fa.js", Path(__file__).name):
        assert (await ask(APP, "GET", f"/x/{name}")).status == 404
