"""However much waits, a claim looks at little more than what it takes, with statistics of the tables and without."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.notifier.claim import KINDS
from tests.tables import empty_pool

TAKEN = 8
FILLED = """
    ALTER TABLE invitation SET (autovacuum_enabled = false);
    ALTER TABLE person_key SET (autovacuum_enabled = false);
    ALTER TABLE outbox SET (autovacuum_enabled = false);
    INSERT INTO person_key (person, erased_at)
    SELECT decode(md5(n::text), 'hex'), now() FROM generate_series(1, 5000) AS n;
    INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at, occurred_at,
                            token_sha256, message)
    SELECT gen_random_uuid(), 'D-' || n, 'ask', 'planned', decode(md5(n::text), 'hex'), 'sms', 'sv', now(), now(),
           sha256(n::text::bytea), '{"delivery": {"zone": "Europe/Stockholm", "country": "SE"}}'
    FROM generate_series(1, 5000) AS n;
    INSERT INTO outbox (shard, topic, key)
    SELECT 0, 'invitation.decided.v1', convert_to('another-' || n, 'UTF8') FROM generate_series(1, 5000) AS n;
"""
"""Five thousand requests that are due, and as many records of other deliveries that wait for Kafka."""


@pytest.fixture(scope="module")
async def notifier_pool(shared_settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(shared_settings, "notifier") as empty:
        await empty.execute(FILLED)
        yield empty


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from steps(part)


def looked_at(step: dict[str, Any]) -> float:
    """Rows that a step has read, also those that it found not to fit."""
    unfit = sum(n for name, n in step.items() if name.startswith("Rows Removed by"))
    rows: float = (step["Actual Rows"] + unfit) * step["Actual Loops"]
    return rows


@pytest.mark.parametrize("statistics", [False, True])
async def test_a_claim_out_of_thousands_looks_at_a_few_rows(notifier_pool: Pool, statistics: bool) -> None:
    lock_due = named_sql("services.notifier", "claim.sql")["lock_due"]
    async with notifier_pool.acquire() as connection:
        if statistics:
            await connection.execute("ANALYZE invitation; ANALYZE person_key; ANALYZE outbox")
        rows = await connection.fetch(lock_due, list(KINDS), [TAKEN] * len(KINDS))
        told = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {lock_due}", list(KINDS), [TAKEN] * len(KINDS)
        )
    assert len(rows) == TAKEN
    taken = list(steps(json.loads(told)[0]["Plan"]))
    assert {s.get("Index Name") for s in taken} >= {"invitation_due", "outbox_unpublished_key"}
    assert sum(map(looked_at, taken)) < 20 * TAKEN
