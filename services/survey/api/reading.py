"""From a request to what we may act on: who asks, the checked body, the conditions in its headers."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from services.chassis.postgres import Pool
from services.survey.answers.responses import LONGEST_BODY, Rejected
from services.survey.api.clients import Client, Clients
from services.survey.api.keys import Scope
from services.survey.api.problems import Problem, broken_rules
from services.survey.bodies import JSON, read_body

M = TypeVar("M", bound=BaseModel)
_KEY_NAMES = frozenset({"key", "api_key", "apikey", "api-key", "access_token", "token", "authorization", "auth"})
_STATUS_OF = {"content-type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "size": HTTPStatus.REQUEST_ENTITY_TOO_LARGE}


@dataclass(frozen=True, slots=True)
class Body(Generic[M]):
    """A checked body, with the hash of what was sent: the same bytes mean the same request."""

    model: M
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """Lets programs in by their keys."""

    pool: Pool
    clients: Clients
    now: Callable[[], datetime]

    async def let_in(self, request: Request, scope: Scope) -> Client:
        """The program that asks.

        Raises:
            Problem: 400 for a key in the address, 401 for no valid key, 403 for one without the scope.
        """
        _refuse_key_in_address(request)
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        client = None
        if kind.lower() == "bearer":
            async with self.pool.acquire() as connection:
                client = await self.clients.holding(connection, text.strip(), self.now())
        if client is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "Send a valid key as `Authorization: Bearer kv_…`",
                headers={"www-authenticate": "Bearer"},
            )
        if not client.may(scope):
            raise Problem(HTTPStatus.FORBIDDEN, f"This key lacks the scope {scope}")
        return client


def _refuse_key_in_address(request: Request) -> None:
    # Addresses end up in logs of proxies: such a key is not secret any more.
    if any(n.lower() in _KEY_NAMES or v.startswith("kv_") for n, v in request.query_params.multi_items()):
        raise Problem(HTTPStatus.BAD_REQUEST, "A key or token must not stand in the address; revoke it if it did")


async def read_json(request: Request, model: type[M]) -> Body[M]:
    """The body, checked against a model.

    Raises:
        Problem: 408, 413, 415 or 422, without any value that was sent.
    """
    sent = await read_bytes(request)
    return Body(checked(sent, model), hashlib.sha256(sent).digest())


async def read_bytes(request: Request, media_type: str = JSON, longest: int = LONGEST_BODY) -> bytes:
    """The body as it came, of at most so many bytes.

    Raises:
        Problem: 408, 413 or 415.
    """
    try:
        return await read_body(request.headers, request.receive, media_type, longest)
    except Rejected as error:
        status = _STATUS_OF.get(error.field, HTTPStatus.UNPROCESSABLE_ENTITY)
        raise Problem(status, f"The {error.field.replace('size', 'body')} {error.rule}") from None
    except TimeoutError:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "The body took too long") from None


def checked(sent: bytes, model: type[M]) -> M:
    """The body as a model.

    Raises:
        Problem: 422 with every rule it breaks.
    """
    try:
        return model.model_validate_json(sent)
    except ValidationError as error:
        raise broken_rules(model, error) from None
