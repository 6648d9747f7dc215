"""Programs that use the API: an application on a real database, keys, and links to answer."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.types import ASGIApp

from services.chassis.http import make_app
from services.chassis.keys import Key
from services.chassis.message_lines import MessageLines
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.survey.answers.handlers import Answers
from services.survey.api.clients import Clients, Place
from services.survey.api.keys import Scope
from services.survey.api.wiring import api_mount
from services.survey.definition_files import load_definitions
from tests.asgi import Reply, ask
from tests.builders import NOON
from tests.conftest import SEALING_KEY

RESPONSES = "/api/v1/responses"
TAPS = "/api/v1/kiosk/responses"
SEAL = Seal(bytes.fromhex(SEALING_KEY))
TORGET = Place(carrier="Nordposten Demo", country="SE", zone="Europe/Stockholm", service_point="Torget Spel & Tobak")


@dataclass
class Clock:
    """The time that the application sees."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def application(
    pool: Pool,
    settings: Settings,
    now: Callable[[], datetime],
    *,
    caught_up: bool = True,
    cut_off: bool = False,
    patience: float = 0.5,
    meanwhile: Callable[[], Awaitable[object]] | None = None,
    lines: int = 0,
) -> ASGIApp:
    """The routes behind the recipient's page; `meanwhile` happens while Kafka is asked whether all are known.

    `cut_off` is what is known of Kafka being away; `patience` what replies wait that nobody sends again.
    """
    metrics = Metrics()
    answers = Answers(pool, SEAL, Relay(settings, "survey", metrics), metrics, now, lines=MessageLines(lines))

    async def behind_or_not() -> bool:
        if meanwhile is not None:
            await meanwhile()
        return caught_up

    async def ready() -> str | None:
        return None

    mount = api_mount(settings, answers, load_definitions(), behind_or_not, lambda _: cut_off, patience)
    return make_app([mount], ready=ready, metrics=metrics)


async def new_key(pool: Pool, *scopes: Scope, place: Place | None = None, days: int = 30) -> Key:
    """A valid key."""
    async with pool.acquire() as connection:
        return await Clients().add(
            connection,
            name="program",
            scopes=frozenset(scopes),
            place=place,
            now=NOON,
            expires_at=datetime.now(UTC) + timedelta(days=days),
        )


async def send(
    app: ASGIApp,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: Key | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Reply:
    """One request of a program; a body that is no bytes goes as JSON."""
    told = [("content-type", "application/json")] if body is not None else []
    told += [("authorization", f"Bearer {key.text}")] if key else []
    given = {name.lower() for name, _ in headers}
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return await ask(app, method, path, headers=[*(h for h in told if h[0] not in given), *headers], parts=[sent])


def is_problem(reply: Reply, status: int) -> bool:
    """Whether this is the problem document of a status."""
    kind = reply.headers["content-type"] == "application/problem+json"
    return kind and reply.status == status == reply.json["status"] and reply.headers["cache-control"] == "no-store"
