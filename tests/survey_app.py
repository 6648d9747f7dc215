"""The recipient's pages without a server between: an app on a test's own database, invitations and posts."""

import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from schemas.recipient import PreferenceChanged
from schemas.response import ResponseRecorded
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool, named_sql
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.handlers import Answers, LearnInvitations
from services.survey.answers.responses import token_hash
from services.survey.definition_files import load_definitions
from services.survey.definitions import Definitions
from services.survey.recipient.guesses import Guesses, Guessing
from services.survey.recipient.http import SurveyRoutes
from services.survey.recipient.page_models import HumanRoute, Site
from services.survey.recipient.public_wiring import public_routes
from services.survey.recipient.rendering import SurveyPages
from tests.asgi import Reply, ask
from tests.builders import NOON, decided
from tests.conftest import SEALING_KEY

SEAL = Seal(bytes.fromhex(SEALING_KEY))
DEFINITIONS = load_definitions()
SITE = Site("Nordposten Demo", HumanRoute("08-465 004 10", "8–18", "hjalp@nordposten.example"))
PAGES = SurveyPages(SITE)
FORM = "application/x-www-form-urlencoded"


async def post(
    app: SurveyRoutes,
    token: str,
    *pairs: tuple[str, str],
    as_json: bool = False,
    nonce: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    at_start: Callable[[], Awaitable[None]] | None = None,
) -> Reply:
    """Post a form as the page does."""
    fields = [("nonce", app._views.nonce(token) if nonce is None else nonce), ("lang", "sv"), *pairs]
    sent = [("content-type", FORM), *([("accept", "application/json")] if as_json else []), *headers]
    return await ask(app, "POST", f"/r/{token}", headers=sent, parts=[urlencode(fields).encode()], at_start=at_start)


def survey(
    pool: Pool,
    settings: Settings,
    *,
    queue: int = 4096,
    caught_up: bool = True,
    meanwhile: Callable[[], Awaitable[object]] | None = None,
    guessing: Guessing | None = None,
) -> SurveyRoutes:
    """The survey's pages; `meanwhile` happens while Kafka is asked whether all invitations are known."""
    metrics = Metrics()

    async def behind_or_not() -> bool:
        if meanwhile is not None:
            await meanwhile()
        return caught_up

    async def ready() -> str | None:
        return None

    answers = Answers(pool, SEAL, Relay(settings, "survey", metrics), metrics, lambda: datetime.now(UTC), queue)
    return SurveyRoutes(
        answers=answers,
        definitions=DEFINITIONS,
        pages=PAGES,
        seal=SEAL,
        metrics=metrics,
        caught_up=behind_or_not,
        guessing=guessing or Guessing(Guesses(settings.wrong_links_per_minute), 0, time.monotonic),
        brand="Nordposten Demo",
        others=make_app(public_routes(settings, answers, SITE, PAGES, behind_or_not), ready=ready, metrics=metrics),
    )


async def invite(
    pool: Pool,
    *,
    expires_in: timedelta = timedelta(days=14),
    token: str | None = None,
    definitions: Definitions = DEFINITIONS,
    **changed: Any,
) -> str:
    """Let the survey learn of an invitation; returns its token."""
    token = token or new_token()
    message = decided(
        **{
            "invitation_id": str(uuid.uuid4()),
            "token_sha256": token_hash(token).hex(),
            "expires_at": datetime.now(UTC) + expires_in,
            **changed,
        }
    )
    async with pool.acquire() as connection, connection.transaction():
        await LearnInvitations(named_sql("services.survey"), definitions)(connection, [Received(message, None, NOON)])
    return token


async def lock(pool: Pool, token: str) -> None:
    await pool.execute(
        "UPDATE invitation SET expires_at = clock_timestamp() - interval '1 s' WHERE token_sha256 = $1",
        token_hash(token),
    )


async def told(pool: Pool) -> list[ResponseRecorded]:
    """Every answer in the outbox, oldest first, checked against the contract."""
    rows = await pool.fetch("SELECT key, value FROM outbox WHERE topic = 'response.recorded.v1' ORDER BY id")
    messages = [ResponseRecorded.model_validate_json(r["value"]) for r in rows]
    assert [r["key"].decode() for r in rows] == [m.response_id for m in messages]
    return messages


async def stored(pool: Pool) -> tuple[int, int | None, list[str] | None, bool, bool]:
    """Revision, score, reasons, whether there is a comment, contested: of the only response."""
    [row] = await pool.fetch("SELECT * FROM response")
    return row["revision"], row["score"], row["reasons"], row["comment_sealed"] is not None, bool(row["contested"])


async def preferences(pool: Pool) -> list[PreferenceChanged]:
    """Every preference in the outbox, oldest first, checked against the contract."""
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'preference.changed.v1' ORDER BY id")
    return [PreferenceChanged.model_validate_json(r["value"]) for r in rows]
