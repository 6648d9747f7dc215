"""Every refusal as a problem document (RFC 9457). Nothing that was sent is repeated."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import asyncpg
import structlog
from fastapi import FastAPI, Request
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.chassis.failures import Overloaded, is_transient
from services.chassis.http import problem
from services.survey.refusals import Refused

log = structlog.get_logger()
_MOST_ERRORS = 20
_RETRY = {"retry-after": "2"}


class Problem(Exception):
    """The request is refused; nothing was kept."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def response(self) -> Response:
        """The problem document."""
        more = {"errors": list(self.errors)} if self.errors else {}
        response = problem(self.status, self.status.phrase, self.detail, **more)
        response.headers.update(self.headers)
        return response


def away(detail: str = "It is not kept yet; send it again in a moment") -> Problem:
    """503: the same request may succeed soon."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=_RETRY)


def broken_rules(model: type[BaseModel], error: ValidationError) -> Problem:
    """422 with every rule that a body breaks, by field; a name that is none of ours came from outside."""
    names = {f.alias or name for name, f in model.model_fields.items()}
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The body is not JSON in UTF-8")
    wrong = [
        {
            "at": ".".join(str(p) if isinstance(p, int) or p in names else "*" for p in e["loc"]) or "body",
            "rule": e["msg"].removeprefix("Value error, "),
        }
        for e in found[:_MOST_ERRORS]
    ]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The body breaks the rules that `errors` names", errors=wrong)


def tell_problems(app: FastAPI) -> None:
    """Make every failure of an application a problem document."""

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def on_refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return Problem(HTTPStatus(error.status), error.text).response()

    async def on_http_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = problem(error.status_code, HTTPStatus(error.status_code).phrase)
        response.headers.update(error.headers or {})
        return response

    async def on_away(_: Request, error: Exception) -> Response:
        if not isinstance(error, Overloaded) and not is_transient(error):
            raise error  # a fault of ours: 500, for nobody would be helped by trying again
        log.warning("not kept", action="refuse", error=type(error).__name__)
        return away().response()

    app.add_exception_handler(Problem, refuse)
    app.add_exception_handler(Refused, on_refused)
    app.add_exception_handler(HTTPException, on_http_error)
    for kind in (Overloaded, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        app.add_exception_handler(kind, on_away)
