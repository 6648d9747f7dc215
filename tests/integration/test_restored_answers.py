"""After a restore that ended before the loss: Kafka and its readers know answers that the survey's tables do not."""

import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.response import RatedParty
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.survey.answers.relabelling import Relabelling
from services.survey.answers.responses import token_hash
from services.survey.recipient.http import SurveyRoutes
from tests.document_blocks import blocks
from tests.survey_app import invite, post, told

pytestmark = pytest.mark.service("survey")

PERSON = "5e" * 16


async def run_the_step_of_the_guide(pool: Pool, repository: Path) -> None:
    [commands] = [block for block in blocks(repository / "docs/backup.md", "sh") if "first_revision" in block]
    [statement] = re.findall(r'--command "(UPDATE survey\.first_revision .*)"', commands)
    await pool.execute(statement.replace("survey.", "", 1))


async def told_by(pool: Pool, topic: str) -> dict[str, list[int]]:
    """The revisions of each answer in the order in which they were told."""
    found: dict[str, list[int]] = {}
    for row in await pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", topic):
        event = json.loads(row["value"])
        found.setdefault(event["response_id"], []).append(event["revision"])
    return found


async def response_of(pool: Pool, token: str) -> uuid.UUID:
    found: uuid.UUID = await pool.fetchval(
        "SELECT invitation_id FROM invitation WHERE token_sha256 = $1", token_hash(token)
    )
    return found


async def test_whatever_is_said_after_a_restore_is_above_what_readers_know(
    app: SurveyRoutes, pool: Pool, settings: Settings, repository: Path
) -> None:
    lost, missing, older, relabelled, erased = [await invite(pool, person_id=p) for p in (*[None] * 4, PERSON)]
    for token in (older, relabelled, erased):
        await post(app, token, ("score", "4"))
    await pool.execute("CREATE TABLE restored AS SELECT * FROM response")
    for token in (lost, missing, older, relabelled, erased):
        await post(app, token, ("score", "3"))
        await post(app, token, ("contested", "1"))
        await post(app, token, ("score", "5"))
    await pool.execute("TRUNCATE response")
    await pool.execute("INSERT INTO response SELECT * FROM restored")
    firsts = app.metrics.registry.get_sample_value("kvittera_answers_total", {"kind": "first"})

    await run_the_step_of_the_guide(pool, repository)
    await post(app, lost, ("score", "1"))
    await post(app, lost, ("score", "1"))  # nothing new
    await post(app, lost, ("contested", "1"))
    await post(app, missing, ("contested", "1"))
    await post(app, older, ("score", "2"), ("contested", "1"))
    staff = ("staff-7", "Lena L.")
    relabelling = Relabelling(pool, Relay(settings, "survey", Metrics()).wake, lambda: datetime.now(UTC))
    kept = await relabelling.relabel(await response_of(pool, relabelled), RatedParty.SHOP, staff, "goods")
    rows = await pool.fetch(named_sql("services.survey", "persons.sql")["erase_responses"], PERSON, datetime.now(UTC))

    minutes = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() / 60
    revisions = await told_by(pool, "response.recorded.v1")
    [*gap, above, last] = revisions[str(await response_of(pool, lost))]
    assert gap == [1, 2, 3]
    assert minutes - 2 < above < minutes + 2
    assert last == above + 1
    assert revisions[str(await response_of(pool, older))] == [1, 2, 3, 4, above]
    assert kept == above
    assert [row["response_id"] for row in rows] == [await response_of(pool, erased)]
    assert await pool.fetchval("SELECT revision FROM response WHERE erased") == above
    contested = await told_by(pool, "delivery.contested.v1")
    assert contested[str(await response_of(pool, lost))] == [1, above]
    assert contested[str(await response_of(pool, missing))] == [1, above]
    assert contested[str(await response_of(pool, older))] == [1, above]
    assert app.metrics.registry.get_sample_value("kvittera_answers_total", {"kind": "first"}) == (firsts or 0) + 2
    scores = {event.response_id: event.score for event in await told(pool)}
    assert scores[str(await response_of(pool, lost))] == 1


async def test_without_a_restore_revisions_begin_at_1(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    await post(app, token, ("contested", "1"))
    assert list((await told_by(pool, "response.recorded.v1")).values()) == [[1, 2]]
    assert list((await told_by(pool, "delivery.contested.v1")).values()) == [[1]]
