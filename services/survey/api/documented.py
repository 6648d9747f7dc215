"""What the OpenAPI document says beside routes and models: refusals, headers, keys."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from services.survey.api.keys import Scope

PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
SECURITY_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key from `kvittera clients add`: `kv_…`."}
}
WRITE_KEY: list[dict[str, list[str]]] = [{"key": [Scope.WRITE.value]}]
READ_KEY: list[dict[str, list[str]]] = [{"key": [Scope.READ.value]}]
KIOSK_KEY: list[dict[str, list[str]]] = [{"key": [Scope.KIOSK.value]}]
ETAG: dict[str, Any] = {
    "ETag": {
        "description": "The revision in quotes; send it as If-Match to change exactly this.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
    }
}
IDEMPOTENCY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "The same key with the same body gets the first reply again, for a day, and changes nothing for as long as it "
        "is among the answer's last eight; with another body, 422."
    ),
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
}
TAP_IDEMPOTENCY: dict[str, Any] = IDEMPOTENCY | {
    "description": "The same key with the same body gets the first reply again, without an end; with another body, 422."
}
VISIT: dict[str, Any] = {
    "name": "Visit",
    "in": "header",
    "required": False,
    "description": (
        "Whose tap it is: an id that the kiosk draws at random for each person, and which tap of that person it is, "
        "from 1. It holds however late the tap is sent; without it the moment of arrival tells."
    ),
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9-]{16,64}/[1-9][0-9]{0,5}$"},
}
_IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag seen last; several, separated by commas; or `*` for any answer that exists.",
    "schema": {"type": "string"},
}
CONDITIONS: tuple[dict[str, Any], dict[str, Any]] = (_IF_MATCH | {"required": False}, _IF_MATCH | {"required": True})
"""`If-Match` as an offer, and as a must."""
WEBHOOK_HEADERS: list[dict[str, Any]] = [
    {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
    for name, text in (
        ("webhook-id", "Unique for each message, the same when it is sent again."),
        ("webhook-timestamp", "When this attempt was sent, in seconds since 1970."),
        ("webhook-signature", "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several, by spaces."),
    )
]
_MEANINGS = {
    400: "A key stands in the address.",
    401: "No valid key, or no valid signature.",
    403: "The key lacks the scope.",
    404: "No such link, or no such answer for this key.",
    408: "The body took longer than ten seconds.",
    409: "The first request with this key still runs.",
    412: "The answer has changed since the revision in If-Match. Nothing was kept.",
    413: "The body is over {longest}.",
    415: "The body is not application/json.",
    422: "Body or headers break a rule, or the Idempotency-Key came with another body before.",
    423: "The answer is locked.",
    428: "If-Match is missing.",
    503: "Not kept now; send the same again after Retry-After seconds.",
}
_RETRY_AFTER: dict[str, Any] = {
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}
}


def refusals(*statuses: int, longest: str = "32 KiB") -> dict[int | str, dict[str, Any]]:
    """The documented refusals of an operation whose body may have so many bytes."""
    return {status: _refusal(status, _MEANINGS[status].format(longest=longest)) for status in statuses}


def _refusal(status: int, meaning: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": meaning,
        "content": {"application/problem+json": {"schema": PROBLEM}},
    }
    headers = {HTTPStatus.SERVICE_UNAVAILABLE: _RETRY_AFTER, HTTPStatus.CONFLICT: _RETRY_AFTER}.get(HTTPStatus(status))
    return {**told, "headers": headers} if headers else told


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The body that an operation takes."""
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def one_response() -> dict[str, Any]:
    """The path parameter that names an answer."""
    return {
        "name": "response_id",
        "in": "path",
        "required": True,
        "description": "The `id` that the answer was recorded with.",
        "schema": {"type": "string", "format": "uuid"},
    }
