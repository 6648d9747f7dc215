"""Links that nobody answered go long after they were locked, in the order of their ids; each is looked at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.chassis.ids import first_of
from services.chassis.postgres import Pool
from services.chassis.retention import Retention
from services.chassis.settings import Settings
from services.survey.answers.responses import token_hash
from services.survey.privacy.retention import retention
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.survey_app import invite, post
from tests.tables import empty_pool

pytestmark = pytest.mark.service("survey")

KEPT_DAYS = 24 * 31
LOCKED_AFTER = 14
OLD = KEPT_DAYS + LOCKED_AFTER + 1


@pytest.fixture
async def again(settings: Settings, pool: Pool) -> AsyncIterator[Pool]:
    """Connections of another process, to the same tables."""
    assert pool is not None
    async with empty_pool(settings, "survey") as empty:
        yield empty


def id_of(number: int, decided_ago: float) -> UUID:
    return UUID(int=first_of(datetime.now(UTC) - timedelta(days=decided_ago)).int + number)


async def link(pool: Pool, number: int, decided_ago: float, *, locked_after: float = LOCKED_AFTER) -> str:
    """An invitation of so many days ago; returns its token."""
    return await invite(
        pool,
        invitation_id=str(id_of(number, decided_ago)),
        expires_in=timedelta(days=locked_after - decided_ago),
        token=f"{number:022}",
    )


async def answer(pool: Pool, token: str) -> UUID:
    """What somebody answered on it in its time."""
    response: UUID = await pool.fetchval(
        "INSERT INTO response (response_id, revision, score, answered_at, changed_at)"
        " SELECT invitation_id, 1, 2, expires_at, expires_at FROM invitation WHERE token_sha256 = $1"
        " RETURNING response_id",
        token_hash(token),
    )
    return response


async def left(pool: Pool) -> list[int]:
    """Numbers of the links that are still there."""
    rows = await pool.fetch("SELECT token_sha256 FROM invitation ORDER BY invitation_id")
    numbers = {token_hash(f"{n:022}"): n for n in range(40)}
    return [numbers[r["token_sha256"]] for r in rows]


async def run(pool: Pool, rules: Retention, batch: int = 1000) -> int:
    async with pool.acquire() as connection:
        gone = await rules.run(connection, batch=batch)
    assert gone is not None
    return gone["dead_links"]


async def due(pool: Pool, rules: Retention) -> int:
    async with pool.acquire() as connection:
        return (await rules.due(connection))["dead_links"]


async def test_a_link_without_an_answer_goes_two_years_after_it_was_locked_and_every_other_stays(
    pool: Pool, settings: Settings
) -> None:
    rules = retention(settings)
    for number in (1, 3, 5):
        await link(pool, number, OLD + 10 - number)
    await answer(pool, await link(pool, 2, OLD + 8))
    with_a_case = await answer(pool, await link(pool, 4, OLD + 6))
    await pool.execute(
        "INSERT INTO feedback_case (case_id, revision, response_id, response_revision, state, opened_because, desk,"
        " occurred_on, reasons, commented, wants_contact, contested, opened_at, first_due_at, changed_at, delivery)"
        " VALUES ($1, 1, $2, 1, 'open', '{}', '', now(), '{}', false, true, false, now(), now(), now(), '{}')",
        with_a_case,
        str(with_a_case),
    )
    await link(pool, 6, OLD - 2)  # locked for a day too few
    await link(pool, 7, 100)  # locked, and younger than every retention
    await link(pool, 8, 1)

    assert await due(pool, rules) == 3
    assert await run(pool, rules, batch=2) == 3
    assert await left(pool) == [2, 4, 6, 7, 8]
    assert await due(pool, rules) == 0
    assert await run(pool, rules, batch=2) == 0


async def test_a_link_that_was_locked_late_holds_those_behind_it_until_it_is_old_too(
    pool: Pool, settings: Settings
) -> None:
    rules = retention(settings)
    await link(pool, 1, OLD + 3)
    late = await link(pool, 2, OLD + 2, locked_after=LOCKED_AFTER + 30)
    await link(pool, 3, OLD + 1)

    assert await due(pool, rules) == 1
    assert await run(pool, rules) == 1
    assert await left(pool) == [2, 3]
    await pool.execute(
        "UPDATE invitation SET expires_at = expires_at - interval '30 days' WHERE token_sha256 = $1", token_hash(late)
    )
    assert await run(pool, rules) == 2
    assert await left(pool) == []


async def test_one_run_looks_at_a_bounded_number_and_the_next_process_goes_on_behind_them(
    pool: Pool, again: Pool, settings: Settings
) -> None:
    for number in range(10):
        token = await link(pool, number, OLD + 10 - number)
        if number < 4:
            await answer(pool, token)
    rules = replace(retention(settings), looked_at=5)

    assert await run(pool, rules, batch=2) == 1
    assert await left(pool) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert await run(again, rules, batch=2) == 5
    assert await left(pool) == [0, 1, 2, 3]


async def rows_read(pool: Pool, rules: Retention) -> int:
    """Of invitations, by one statement that finds nothing old; nothing is changed by it."""
    async with pool.acquire() as connection, connection.transaction():
        keep = next(rule.keep for rule in rules.rules if rule.what == "dead_links")
        plan = await connection.fetchval(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + rules.sql["dead_links"], keep.total_seconds(), 100
        )

    def read(node: dict[str, Any]) -> int:
        own = sum(node.get(n, 0) for n in ("Actual Rows", "Rows Removed by Filter")) * node.get("Actual Loops", 1)
        here = own if node.get("Relation Name") == "invitation" and "Scan" in node["Node Type"] else 0
        return int(here) + sum(read(part) for part in node.get("Plans", []))

    return read(json.loads(plan)[0]["Plan"])


async def test_answered_links_of_the_beginning_are_never_read_again(pool: Pool, settings: Settings) -> None:
    rules = retention(settings)
    await pool.execute(
        "INSERT INTO invitation (token_sha256, invitation_id, expires_at, delivery)"
        " SELECT sha256(int4send(n)), ($1::text || lpad(to_hex(n), 8, '0'))::uuid,"
        " now() - make_interval(days => $2), '{}' FROM generate_series(1, 5000) AS n",
        str(id_of(0, OLD))[:-8],
        OLD,
    )
    await pool.execute(
        "INSERT INTO response (response_id, revision, score, answered_at, changed_at)"
        " SELECT invitation_id, 1, 5, now(), now() FROM invitation"
    )
    await link(pool, 1, 1)
    await pool.execute("ANALYZE invitation, response")
    assert await rows_read(pool, rules) >= 100
    assert await run(pool, rules) == 0
    assert await rows_read(pool, rules) == 1


async def test_two_processes_at_once_leave_what_one_alone_would(pool: Pool, again: Pool, settings: Settings) -> None:
    rules = retention(settings)
    for number in range(20):
        token = await link(pool, number, OLD + 20 - number)
        if number % 4 == 0:
            await answer(pool, token)

    async def process(own: Pool) -> int:
        async with own.acquire() as connection:
            gone = await rules.run(connection, batch=2)
        return 0 if gone is None else gone["dead_links"]

    assert sum(await asyncio.gather(process(pool), process(again))) == 15
    assert await left(pool) == [0, 4, 8, 12, 16]


async def test_a_dead_link_waits_while_an_erasure_breaks_links(pool: Pool, settings: Settings) -> None:
    await link(pool, 1, OLD)
    async with pool.acquire() as erasing:
        async with erasing.transaction():
            await erasing.execute("SELECT pg_advisory_xact_lock(hashtextextended('invitations of survey', 0))")
            running = asyncio.create_task(run(pool, retention(settings)))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(running), 0.5)
        assert await running == 1


async def test_a_dead_link_that_is_told_again_does_not_come_back(pool: Pool, settings: Settings) -> None:
    first = await link(pool, 1, OLD + 1)
    answered = await link(pool, 2, OLD)
    await answer(pool, answered)
    assert await run(pool, retention(settings)) == 1
    assert await link(pool, 1, OLD + 1) == first
    await link(pool, 2, OLD)
    await link(pool, 3, 200)
    assert await left(pool) == [2, 3]


async def test_the_page_of_a_link_that_has_gone_is_that_of_one_that_was_locked_unanswered(
    app: SurveyRoutes, pool: Pool, settings: Settings
) -> None:
    token = await link(pool, 1, OLD)
    locked = await ask(app, "GET", f"/r/{token}")
    assert await run(pool, retention(settings)) == 1
    gone = await ask(app, "GET", f"/r/{token}")
    assert (gone.status, gone.text) == (locked.status, locked.text) == (404, locked.text)
    assert (await post(app, token, ("score", "4"), as_json=True)).status == 404
    assert (await ask(app, "GET", f"/r/{token}/unsubscribe")).status == 404
