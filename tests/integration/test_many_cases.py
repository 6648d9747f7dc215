"""The inbox after years: what was resolved long ago is neither read nor in the way."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool, open_look_up_pool
from services.chassis.settings import Settings
from services.chassis.staff import Member, Role
from services.survey.cases.filters import Filters
from services.survey.cases.queries import CaseQueries
from tests.caseload import ANNA, LENA, NOW, fill, parts_of

pytestmark = pytest.mark.service("survey")

RESOLVED = 6_000
LONG_AGO = f"""
INSERT INTO feedback_case (
    case_id, revision, response_revision, state, opened_because, reasons, commented, wants_contact, contested, owner,
    owner_name, opened_at, first_due_at, changed_at, resolved_at, response_id, desk, occurred_on, delivery)
SELECT gen_random_uuid(), 2, 1, 'resolved', '{{low_score}}', '{{on_time}}', false, false, false, 's-' || n % 50,
       'Member ' || n % 50, at, at, at, at, gen_random_uuid()::text, 'Desk ' || n % 20, at::date, c.delivery
FROM generate_series(1, {RESOLVED}) AS n, LATERAL (SELECT $1::timestamptz - n * interval '1 minute' AS at) AS a,
     (SELECT delivery FROM feedback_case LIMIT 1) AS c
"""


def read(node: dict[str, Any]) -> Iterator[float]:
    """How many cases each step of a plan looked at."""
    if node.get("Relation Name") == "feedback_case":
        yield node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    for part in node.get("Plans", []):
        yield from read(part)


@pytest.fixture
async def years(pool: Pool, settings: Settings) -> CaseQueries:
    """Ten cases at work, and 6,000 that were resolved before."""
    await fill(pool, settings)
    await pool.execute(LONG_AGO, NOW - timedelta(days=2))
    await pool.execute("VACUUM ANALYZE feedback_case")
    return parts_of(pool, settings, Metrics()).desk.cases


def listed(states: list[str], reason: str | None = None) -> tuple[object, ...]:
    return states, None, None, None, None, None, reason, 100, 500


async def test_a_look_reads_no_more_cases_however_many_were_resolved(years: CaseQueries) -> None:
    looks = {
        "owners, everywhere": ("owners", (None,), 20),
        "owners, at one desk": ("owners", (["Desk 7"],), 20),
        "desks": ("desks", (None,), 40),
        "tabs": ("tabs", (None, "s-7"), 20),
        "open": ("list_cases", listed(["open", "reopened"]), 20),
        "resolved": ("list_cases", listed(["resolved"]), 200),
        "all": ("list_cases", listed(["open", "contacted", "waiting", "resolved", "reopened"]), 200),
        "resolved, for a reason that there is not": ("list_cases", listed(["resolved"], "nothing"), 600),
    }
    too_many = {}
    for look, (statement, arguments, most) in looks.items():
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {years.sql[statement]}"
        plan = json.loads(await years.pool.fetchval(explain, *arguments))[0]["Plan"]
        if not 0 < (cases := sum(read(plan))) <= most:
            too_many[look] = cases
    assert too_many == {}


async def test_desks_and_who_can_be_given_a_case_are_still_known(years: CaseQueries) -> None:
    await years.pool.execute("UPDATE feedback_case SET owner = 's-malte', owner_name = 'Malte M.' WHERE serial = 7")
    here = ["Malmö", "Segeltorp", "Växjö", "Årsta"]
    assert await years.desks(LENA) == sorted(["", *here, *(f"Desk {n}" for n in range(20))])
    assert await years.desks(ANNA) == ["Segeltorp", "Årsta"]
    assert await years.owners(LENA) == {"s-lena": "Lena L.", "s-malte": "Malte M."}
    assert await years.owners(ANNA) == {"s-anna": "Anna L."}


async def test_resolved_cases_come_by_their_latest_change_after_those_whose_clock_runs(years: CaseQueries) -> None:
    week = timedelta(days=7)
    await years.pool.execute(
        "UPDATE feedback_case SET state = 'contacted', due_at = NULL, changed_at = $1 WHERE serial = 3", NOW - week
    )
    seven = Member("s-7", "Sju", {"Desk 7": Role.AGENT, "Segeltorp": Role.AGENT, "Växjö": Role.AGENT})
    every = [one.case for one in await years.listed(seven, Filters(tab="all"), 2000)]
    before = [c for c in every if c.changed_at > NOW - week and c.due_at is None]
    assert [c.desk for c in every if c.due_at is not None] == ["Växjö"]
    assert (every[0].desk, every[1 + len(before)].desk, len(every)) == ("Växjö", "Segeltorp", 302)
    resolved = [one.case for one in await years.listed(seven, Filters(tab="resolved"), 2000)]
    assert [c.case_id for c in every if c.state == "resolved"] == [c.case_id for c in resolved]
    assert [c.changed_at for c in resolved] == sorted((c.changed_at for c in resolved), reverse=True)
    assert len(await years.listed(seven, Filters(tab="resolved"), 200)) == 200
    [found] = await years.listed(seven, Filters(tab="all", trigger="damaged"))
    assert found.case.desk == "Segeltorp"
    assert await years.listed(seven, Filters(tab="resolved", reason="condition")) == []
    assert len(await years.listed(LENA, Filters(tab="resolved", terminal="Desk 3"), 2000)) == 300


async def test_a_list_is_planned_for_the_filters_that_are_set(years: CaseQueries, settings: Settings) -> None:
    once_for_all = await open_look_up_pool(settings, "survey", 1)
    await replace(years, pool=once_for_all).listed(ANNA, Filters(tab="resolved"))
    kept = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
    row = await once_for_all.fetchrow(kept, years.sql["list_cases"])
    await once_for_all.close()
    assert tuple(row or ()) == (0, 1)
