"""Requests to the API, right and wrong: none gets 5xx or an answer that its document does not foresee.

Drawn by `tests.drawn_requests` from the OpenAPI document with a fixed seed and sent to the application on a real
database, 16 at a time. `API_DRAWN` sets another number, `API_SEED` another drawing; `make test-api` sends 9,400.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook
from starlette.types import ASGIApp

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.api.document import document
from services.survey.api.keys import Scope
from tests.asgi import ask
from tests.drawn_requests import Drawer, Drawn
from tests.programs import SEAL, TORGET, Clock, application, new_key, send
from tests.survey_app import invite
from tests.tables import empty_pool

REQUESTS = int(os.environ.get("API_DRAWN", "1200"))
SEED = os.environ.get("API_SEED", "Kvittera")
OPERATIONS = {"recordResponse": 4, "showResponse": 1, "changeResponse": 3, "recordTap": 2, "receiveMessage": 2}
"""Each with its share."""
SECRET = "whsec_cmVxdWVzdHMtZHJhd24tYnktdXMtYWxvbmU="
NUMBER = "+46701740634"
AT_ONCE = 16


@pytest.fixture(scope="module")
async def pool(shared_settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(shared_settings, "survey") as empty:
        yield empty


@pytest.fixture(scope="module")
def app(pool: Pool, shared_settings: Settings) -> ASGIApp:
    return application(pool, shared_settings.model_copy(update={"inbound_secrets": SecretStr(SECRET)}), Clock())


@pytest.fixture(scope="module")
async def known(app: ASGIApp, pool: Pool) -> dict[str, Any]:
    """What opens the doors: keys, links, an answer, a signature."""
    writer = await new_key(pool, Scope.WRITE, Scope.READ)
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    tokens = [await invite(pool, person_id=SEAL.pseudonym(f"sms:{NUMBER}").hex()) for _ in range(100)]
    made = await send(app, "POST", "/api/v1/responses", {"token": tokens[0], "score": 4}, key=writer)
    return {"writer": writer.text, "kiosk": kiosk.text, "tokens": tokens, "path": made.json["id"]}


def signed(body: bytes) -> dict[str, str]:
    now, name = datetime.now(UTC), f"msg_{hash(body)}"
    signature = Webhook(SECRET).sign(name, now, body.decode("utf-8", "surrogatepass")) if _is_text(body) else "v1,none"
    return {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def doors(operation: str, known: dict[str, Any]) -> dict[str, Any]:
    key = {"authorization": f"Bearer {known['kiosk' if operation == 'recordTap' else 'writer']}"}
    bodies: dict[str, Callable[[random.Random], dict[str, Any]]] = {
        "recordResponse": lambda dice: {"token": dice.choice(known["tokens"]), "score": dice.randint(1, 5)},
        "changeResponse": lambda dice: {"score": dice.randint(1, 5)},
        "receiveMessage": lambda dice: {"from": NUMBER, "text": dice.choice(("4", "5 tack", "STOP", "hej", ""))},
    }
    headers: dict[str, Callable[[bytes], dict[str, str]]] = {
        "changeResponse": lambda _: key | {"If-Match": "*"},
        "receiveMessage": signed,
    }
    return {
        "path": known["path"],
        "body": bodies.get(operation, lambda _: {}),
        "headers": headers.get(operation, lambda _: key),
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_requests_drawn_by_hundreds_get_documented_answers(
    app: ASGIApp, known: dict[str, Any], operation: str
) -> None:
    drawer = Drawer(document(), random.Random(f"{SEED} {operation}"))
    open_doors = doors(operation, known)
    count = REQUESTS * OPERATIONS[operation] // sum(OPERATIONS.values())
    statuses: Counter[int] = Counter()

    async def one(drawn: Drawn) -> None:
        reply = await ask(app, drawn.method, drawn.path, headers=drawn.headers, parts=[drawn.body])
        drawer.judge(drawn, reply)
        statuses[reply.status] += 1

    for _ in range(0, count, AT_ONCE):
        drawn = [drawer.draw(operation, open_doors) for _ in range(AT_ONCE)]
        await asyncio.gather(*map(one, drawn))
    print(operation, sorted(statuses.items()))
    assert sum(statuses.values()) >= count
    assert sum(n for status, n in statuses.items() if status < 300) > count / 5, "too many are turned away at the door"
    assert statuses[401], "some come without a key or a signature"
