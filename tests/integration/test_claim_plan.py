"""However much waits, a claim looks at little more than what it takes, whatever PostgreSQL knows of its tables."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.chassis.month_bounds import OF_IDS
from services.chassis.months import later, month_of
from services.chassis.postgres import Pool, named_sql, open_look_up_pool
from services.chassis.settings import Settings
from services.notifier.claim import KINDS
from services.notifier.claiming import DISCARD
from tests.sending import ScriptedChannel, dispatcher

pytestmark = pytest.mark.service("notifier")

TAKEN = 8
DUE = """
    INSERT INTO person_key (person, erased_at)
    SELECT decode(md5(n::text), 'hex'), now() FROM generate_series(1, 5000) AS n;
    INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at, occurred_at,
                            token_sha256, message)
    SELECT uuidv7(), 'D-' || n, 'ask', 'planned', decode(md5(n::text), 'hex'), 'sms', 'sv', now(), now(),
           sha256(n::text::bytea), '{"delivery": {"zone": "Europe/Stockholm", "country": "SE"}}'
    FROM generate_series(1, 5000) AS n
"""
YEARS = "DROP TABLE invitation_before;" + "".join(
    f"CREATE TABLE invitation_{n} PARTITION OF invitation"
    f" FOR VALUES FROM ('{OF_IDS.write(later(month_of(datetime.now(UTC)), n - 14))}')"
    f" TO ('{OF_IDS.write(later(month_of(datetime.now(UTC)), n - 13))}') WITH (autovacuum_enabled = false);"
    for n in range(16)
)
"""Months of requests as they stand after years: 14 of before, this one, and the next."""
WAITING = """
    INSERT INTO outbox (shard, topic, key)
    SELECT 0, 'invitation.decided.v1', convert_to('another-' || n, 'UTF8') FROM generate_series(1, 5000) AS n
"""
"""Records of other deliveries that Kafka does not have yet."""
PUBLISHED = "DELETE FROM outbox_waiting"
UNPUBLISHED = "INSERT INTO outbox_waiting (id, key_hash, shard) SELECT id, hashbytea(key), shard FROM outbox"
STATISTICS = "ANALYZE invitation; ANALYZE open_send; ANALYZE person_key; ANALYZE outbox; ANALYZE outbox_waiting"


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    for table in ("invitation_before", "open_send", "person_key", "outbox", "outbox_waiting"):
        await pool.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    return pool


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from steps(part)


def looked_at(step: dict[str, Any]) -> float:
    """Rows that a step has read, also those that it found not to fit."""
    unfit = sum(n for name, n in step.items() if name.startswith("Rows Removed by"))
    rows: float = (step["Actual Rows"] + unfit) * step["Actual Loops"]
    return rows


@pytest.mark.parametrize(
    "history",
    [
        (DUE, WAITING),
        (DUE, WAITING, STATISTICS),
        (DUE, STATISTICS, WAITING),
        (DUE, WAITING, PUBLISHED, STATISTICS, UNPUBLISHED),
        (YEARS, DUE, WAITING),
        (YEARS, DUE, WAITING, STATISTICS),
    ],
    ids=[
        "no statistics",
        "statistics",
        "statistics of an empty outbox",
        "statistics of a published outbox",
        "sixteen months",
        "sixteen months and statistics",
    ],
)
async def test_a_claim_out_of_thousands_looks_at_a_few_rows(pool: Pool, history: tuple[str, ...]) -> None:
    for statement in history:
        await pool.execute(statement)
    lock_due = named_sql("services.notifier", "claim.sql")["lock_due"]
    most = (list(KINDS), [TAKEN] * len(KINDS))
    rows = await pool.fetch(lock_due, *most)
    told = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {lock_due}", *most)
    assert len(rows) == TAKEN
    assert sum(map(looked_at, steps(json.loads(told)[0]["Plan"]))) < 20 * TAKEN


@pytest.mark.parametrize("history", [(DUE, WAITING), (STATISTICS, DUE, WAITING)], ids=["no statistics", "of nothing"])
async def test_a_claim_is_planned_once_for_all_until_its_plans_are_discarded_and_looks_at_a_few_rows(
    pool: Pool, settings: Settings, history: tuple[str, ...]
) -> None:
    lock_due = named_sql("services.notifier", "claim.sql")["lock_due"]
    kinds = "{" + ",".join(KINDS) + "}"
    claiming = await open_look_up_pool(settings, "notifier", 1)
    async with claiming.acquire() as connection:
        await connection.execute(f"PREPARE due (text[], int[]) AS {lock_due}")
        for statement in ("SELECT", *history):
            await pool.execute(statement)
            await connection.execute("EXECUTE due ('{}', '{}')")
        await connection.execute(DISCARD)
        told = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE due ('{kinds}', array_fill({TAKEN}, ARRAY[{len(KINDS)}]))"
        )
        kept = "SELECT (generic_plans, custom_plans)::text FROM pg_prepared_statements WHERE name = 'due'"
        assert await connection.fetchval(kept) == f"({len(history) + 2},0)"
    await claiming.close()
    plan = json.loads(told)[0]["Plan"]
    assert plan["Actual Rows"] == TAKEN
    assert sum(map(looked_at, steps(plan))) < 20 * TAKEN


async def test_plans_of_claims_are_a_second_old_at_most(pool: Pool, settings: Settings) -> None:
    sender = dispatcher(pool, settings, ScriptedChannel())
    sender.claiming_pool = await open_look_up_pool(settings, "notifier", 1)
    sender.__post_init__()
    ages = []
    for moment in (10.0, 10.9, 11.1, 11.2):
        sender.clock = lambda now=moment: now  # type: ignore[misc]
        await sender._begin_some()
        ages.append(round(moment - sender._claiming.planned_at, 1))
    await sender.claiming_pool.close()
    assert ages == [0.0, 0.9, 0.0, 0.1]


async def test_however_much_waits_for_kafka_a_claim_looks_at_a_bounded_number_of_rows(pool: Pool) -> None:
    await pool.execute(DUE)
    await pool.execute(
        "INSERT INTO outbox_waiting (id, key_hash, shard)"
        " SELECT n, hashbytea(convert_to('D-' || n, 'UTF8')), 0 FROM generate_series(1, 5000) AS n"
    )
    lock_due = named_sql("services.notifier", "claim.sql")["lock_due"]
    most = (list(KINDS), [TAKEN] * len(KINDS))
    assert await pool.fetch(lock_due, *most) == []
    told = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {lock_due}", *most)
    looks = [s for s in steps(json.loads(told)[0]["Plan"]) if s.get("Relation Name", "").startswith("invitation")]
    assert sum(map(looked_at, looks)) == 4 * TAKEN + 1000


async def test_no_index_of_a_request_holds_what_changes_while_it_is_sent(pool: Pool) -> None:
    defined = await pool.fetchval(
        "SELECT string_agg(pg_get_indexdef(indexrelid), ' ') FROM pg_index WHERE indrelid = 'invitation'::regclass"
    )
    changed = {"state", "reason", "fence", "attempts", "revision", "reference", "sealed", "due_at", "lease_until"}
    assert changed & set(re.findall(r"\w+", defined)) == set()
    assert {"invitation_id", "person"} <= set(re.findall(r"\w+", defined))
