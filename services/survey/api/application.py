"""The API as one FastAPI application, mounted under `/api`. Its document is written by `kvittera schemas write`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from services.survey.api.answering import AnswerRoutes
from services.survey.api.documented import (
    CONDITIONS,
    ETAG,
    IDEMPOTENCY,
    KIOSK_KEY,
    READ_KEY,
    TAP_IDEMPOTENCY,
    VISIT,
    WEBHOOK_HEADERS,
    WRITE_KEY,
    body_of,
    one_response,
    refusals,
)
from services.survey.api.inbound import InboundRoutes
from services.survey.api.kiosk import KioskRoutes
from services.survey.api.models import Accepted, InboundMessage, NewResponse, Response, ResponseChange, Tap, TapRecorded
from services.survey.api.problems import tell_problems
from services.survey.api.provider_inbound import ProviderInbound

PREFIX = "/api"
Told = dict[int | str, dict[str, Any]]
"""What the document says of responses, by status."""
_ABOUT = (
    "Answers from apps and kiosks, under the same rules as the recipient's page. Each program has a key of its "
    "own, sent as `Authorization: Bearer kv_…`. Every refusal is a problem document (RFC 9457) that repeats "
    "nothing of what was sent. 2xx is said only after the answer is on disk."
)


@dataclass(frozen=True, slots=True)
class Routes:
    """What the API is made of."""

    answers: AnswerRoutes
    kiosk: KioskRoutes
    inbound: InboundRoutes
    providers: ProviderInbound


def make_api(routes: Routes) -> FastAPI:
    """The application; without pages of its own that would show the document."""
    app = FastAPI(
        title="Kvittera survey API",
        version="1.0.0",
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    tell_problems(app)
    _add_answers(app, routes.answers)
    _add_kiosk(app, routes.kiosk)
    _add_inbound(app, routes.inbound)
    _add_providers(app, routes.providers)
    return app


def _add_answers(app: FastAPI, routes: AnswerRoutes) -> None:
    ok: Told = {200: {"description": "Kept.", "headers": ETAG}}
    app.add_api_route(
        "/v1/responses",
        routes.record,
        methods=["POST"],
        operation_id="recordResponse",
        summary="Record the answer of a recipient who holds a link",
        description=(
            "The first answer gets 201, a later one 200; both merge field by field with what is there. The same "
            "answer again changes nothing."
        ),
        status_code=201,
        response_model=Response,
        responses=_created(ETAG)
        | _with_model(ok)
        | refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 423, 503),
        openapi_extra=body_of(NewResponse) | {"parameters": [IDEMPOTENCY, CONDITIONS[0]], "security": WRITE_KEY},
    )
    app.add_api_route(
        "/v1/responses/{response_id}",
        routes.show,
        methods=["GET"],
        operation_id="showResponse",
        summary="Show an answer that this key recorded",
        description="The comment is never part of it.",
        response_model=Response,
        responses=ok | refusals(400, 401, 403, 404, 503),
        openapi_extra={"parameters": [one_response()], "security": READ_KEY},
    )
    app.add_api_route(
        "/v1/responses/{response_id}",
        routes.change,
        methods=["PATCH"],
        operation_id="changeResponse",
        summary="Change an answer that this key recorded",
        description="If-Match must name the revision seen last; another one gets 412, and nothing is changed.",
        response_model=Response,
        responses=ok | refusals(400, 401, 403, 404, 408, 412, 413, 415, 422, 423, 428, 503),
        openapi_extra=body_of(ResponseChange) | {"parameters": [one_response(), CONDITIONS[1]], "security": WRITE_KEY},
    )


def _add_kiosk(app: FastAPI, routes: KioskRoutes) -> None:
    app.add_api_route(
        "/v1/kiosk/responses",
        routes.tap,
        methods=["POST"],
        operation_id="recordTap",
        summary="Record a tap of a person who came by",
        description=(
            "The place is that of the key. A second tap within a few seconds is the same person: another face "
            "corrects the answer, the same face adds nothing. Such answers are marked as not invited."
        ),
        status_code=201,
        response_model=TapRecorded,
        responses=_created() | refusals(400, 401, 403, 408, 413, 415, 422, 503),
        openapi_extra=body_of(Tap) | {"parameters": [TAP_IDEMPOTENCY, VISIT], "security": KIOSK_KEY},
    )


def _add_inbound(app: FastAPI, routes: InboundRoutes) -> None:
    app.add_api_route(
        "/inbound/sms",
        routes.sms,
        methods=["POST"],
        operation_id="receiveMessage",
        summary="Take a reply by text message from a gateway",
        description=(
            "Signed as Standard Webhooks says, at most five minutes ago. `4`, `4 bra service` and `STOP` are "
            "understood in six languages; anything else is a comment. The reply never tells whether the sender is "
            "known. The same webhook-id has its effect once, as long as it is among the last eight of its answer."
        ),
        status_code=202,
        response_model=Accepted,
        responses=_taken() | refusals(401, 408, 409, 413, 415, 422, 503, longest="1 MiB"),
        openapi_extra=body_of(InboundMessage) | {"parameters": WEBHOOK_HEADERS, "security": []},
    )


def _add_providers(app: FastAPI, routes: ProviderInbound) -> None:
    # Providers say what these take; the document is about what we say.
    for path, answer, method in (
        ("46elks", routes.elks, "POST"),
        ("twilio", routes.twilio, "POST"),
        ("whatsapp", routes.whatsapp, "POST"),
        ("whatsapp", routes.whatsapp_challenge, "GET"),
    ):
        app.add_api_route(f"/inbound/{path}", answer, methods=[method], include_in_schema=False)


def _created(headers: Mapping[str, Any] | None = None) -> Told:
    return {201: {"description": "Kept.", **({"headers": headers} if headers else {})}}


def _taken() -> Told:
    return {202: {"description": "Taken."}}


def _with_model(responses: Told) -> Told:
    return {status: {**told, "model": Response} for status, told in responses.items()}
