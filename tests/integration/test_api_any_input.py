"""Whatever is sent to the API, it answers as its OpenAPI document says, and never with 5xx.

Cases are drawn by schemathesis from the document, half of them valid and half of them broken, and go through a
real HTTP client library into the application on a real database. The drawing is fixed, so a failure comes again;
`API_SEED`, a number, gives another one.
`make test-api`, a step of `.ci/run`, draws 12,000 cases. A plain run draws 200 here and 1,200 more from a small
generator of our own (test_api_drawn.py), because the drawing here costs 8 ms a case.
"""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hypothesis
import pytest
import requests
import schemathesis
import urllib3
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from standardwebhooks.webhooks import Webhook
from starlette.types import ASGIApp

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.api.document import document
from services.survey.api.keys import Scope
from tests.asgi import ask
from tests.programs import SEAL, TORGET, Clock, application, new_key, send
from tests.survey_app import invite
from tests.tables import empty_pool

CASES = int(os.environ.get("API_CASES", "200"))
SEED = os.environ.get("API_SEED")
OPERATIONS = ("recordResponse", "showResponse", "changeResponse", "recordTap", "receiveMessage")
SECRET = "whsec_c2NobWV0aGVzaXMtZHJhd3MtdGhpcw=="
NUMBER = "+46701740634"
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = schemathesis.GenerationMode
TURNED_AWAY_BEFORE = (412, 413)
"""Documented refusals that the check for broken input does not know."""


class IntoApplication(HTTPAdapter):
    """Carries requests of the `requests` library into an application on another thread's loop."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.app, self.loop = app, loop
        self.statuses: Counter[int] = Counter()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        url = urlsplit(str(request.url))
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        headers = [(n, v if isinstance(v, str) else v.decode("latin-1")) for n, v in request.headers.items()]
        path = unquote(url.path) + (f"?{url.query}" if url.query else "")
        asking = ask(self.app, str(request.method), path, headers=headers, parts=[body])
        reply = asyncio.run_coroutine_threadsafe(asking, self.loop).result(30)
        self.statuses[int(reply.status)] += 1
        raw = urllib3.HTTPResponse(reply.body, reply.headers, reply.status, preload_content=False)
        raw._fp = None
        response = self.build_response(request, raw)
        response._content = reply.body
        return response


@pytest.fixture(scope="module")
async def pool(shared_settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(shared_settings, "survey") as empty:
        yield empty


@pytest.fixture(scope="module")
def app(pool: Pool, shared_settings: Settings) -> ASGIApp:
    return application(pool, shared_settings.model_copy(update={"inbound_secrets": SecretStr(SECRET)}), Clock())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_whatever_is_sent_gets_a_documented_answer(app: ASGIApp, pool: Pool, operation: str) -> None:
    writer = await new_key(pool, Scope.WRITE, Scope.READ)
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    tokens = [await invite(pool, person_id=SEAL.pseudonym(f"sms:{NUMBER}").hex()) for _ in range(20)]
    made = await send(app, "POST", "/api/v1/responses", {"token": tokens[0], "score": 4}, key=writer)
    carrier = IntoApplication(app, asyncio.get_running_loop())
    known = {
        "token": tokens,
        "response_id": made.json["id"],
        "key": (kiosk if operation == "recordTap" else writer).text,
    }
    for mode in (MODES.POSITIVE, MODES.NEGATIVE):
        await asyncio.to_thread(draw, operation, carrier, known, mode)
    assert sum(carrier.statuses.values()) >= CASES // len(OPERATIONS)
    print(operation, sorted(carrier.statuses.items()))
    successes = sum(n for status, n in carrier.statuses.items() if status < 300)
    assert successes > CASES / len(OPERATIONS) / 20, "the cases must not all be turned away at the door"


def draw(operation: str, carrier: IntoApplication, known: dict[str, Any], mode: schemathesis.GenerationMode) -> None:
    """Draw cases for one operation and judge every answer."""
    session = requests.Session()
    session.trust_env = False  # no look for proxies at each case
    session.mount("http://", carrier)
    found = schemathesis.openapi.from_dict(document()).find_operation_by_id(operation)
    # Not drawn: what Hypothesis draws depends on the modules that other tests loaded, and may miss every open door.
    turns = (37 * n % 100 for n in itertools.count())

    @hypothesis.settings(
        max_examples=CASES // len(OPERATIONS) // 2,
        derandomize=SEED is None,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=found.as_strategy(generation_mode=mode))
    def answers(case: schemathesis.Case[Any]) -> None:
        open_doors(case, known, next(turns), mode)
        response = case.call(base_url="http://survey.example", session=session)
        judged_by_rule = mode is MODES.NEGATIVE and response.status_code not in TURNED_AWAY_BEFORE
        case.validate_response(response, checks=[*CHECKS, *([negative_data_rejection] if judged_by_rule else [])])

    (answers if SEED is None else hypothesis.seed(int(SEED))(answers))()


def open_doors(
    case: schemathesis.Case[Any], known: dict[str, Any], turn: int, mode: schemathesis.GenerationMode
) -> None:
    """Give most cases a key, a signature and a known link, so that they reach what stands behind."""
    if turn < 90:
        case.headers["Authorization"] = f"Bearer {known['key']}"
    if mode is not MODES.POSITIVE or turn >= 80:
        return
    if "response_id" in case.path_parameters:
        case.path_parameters["response_id"] = known["response_id"]
    if isinstance(case.body, dict) and "token" in case.body:
        case.body["token"] = known["token"][turn % 20]
    operation = case.operation.definition.raw["operationId"]
    if isinstance(case.body, dict) and turn < 60 and operation in ("recordResponse", "changeResponse"):
        case.body.setdefault("score", 1 + turn % 5)  # most bodies drawn say nothing
    if turn < 60:  # few keys are drawn, and with another body a known one is refused
        case.headers.pop("Idempotency-Key", None)
    if "If-Match" in case.headers and turn < 60:
        case.headers["If-Match"] = "*"
    if operation == "recordResponse" and turn < 40:  # most of them are first answers, which match nothing
        case.headers.pop("If-Match", None)
    if operation == "receiveMessage":
        sign(case, turn)


def sign(case: schemathesis.Case[Any], turn: int) -> None:
    """Sign the message as a gateway does, for the most part from a person with an open invitation."""
    if isinstance(case.body, dict) and turn < 60:
        case.body["from"] = NUMBER
        case.body["received_at"] = "2026-03-29T01:30:00Z"  # most moments drawn lie in years that nobody sends from
    moment = datetime.now(UTC)
    sent = requests.Request("POST", "http://x", json=cast("Any", case.body)).prepare().body
    assert isinstance(sent, bytes)
    webhook_id = f"msg_{hash(sent)}"
    case.headers["webhook-id"] = webhook_id
    case.headers["webhook-timestamp"] = str(int(moment.timestamp()))
    case.headers["webhook-signature"] = Webhook(SECRET).sign(webhook_id, moment, sent.decode())
