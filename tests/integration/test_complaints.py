"""Complaints: the last revision of each case is counted once, and closed with its month."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka import ConsumerRecord

from schemas.delivery import DeliveryFacts, Method
from schemas.feedback import Attribution, CaseState, CaseTrigger, Cause, FeedbackCase, Nature
from schemas.topics import FEEDBACK_CASE
from services.aggregator.counting.complaints import KeepComplaints, complaints_reader, month_of_delivery
from services.aggregator.figures.months import Months, month_number
from services.aggregator.quality.months import ClosedMonths
from services.aggregator.quality.revisions import Counted, Month, Revision
from services.chassis.failures import MustStop, Poison
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.chassis.subscriptions import Subscriptions
from services.chassis.traces import Traces
from tests.harness import begin, progress_of, record

pytestmark = pytest.mark.service("aggregator")

SEPTEMBER = month_number("2026-09")
AT = datetime(2026, 9, 30, 22, 30, tzinfo=UTC)
LATER = datetime(2026, 11, 20, tzinfo=UTC)


def case(name: str, revision: int = 1, at: datetime = AT - timedelta(days=9), **told: Any) -> FeedbackCase:
    facts = DeliveryFacts(
        delivery_id=f"D-{name}",
        carrier="Nordposten Demo",
        country="SE",
        method=Method.HOME_DAY,
        occurred_at=at,
        zone="Europe/Stockholm",
    )
    return FeedbackCase(
        case_id=name,
        revision=revision,
        state=CaseState.OPEN,
        opened_because=(CaseTrigger.LOW_SCORE,),
        response_id=f"R-{name}",
        opened_at=at,
        sla_due_at=at + timedelta(days=1),
        changed_at=at,
        delivery=facts,
        **told,
    )


async def keep(pool: Pool, *cases: FeedbackCase) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await KeepComplaints()(connection, [Received(c, None, AT) for c in cases])


async def closed(pool: Pool, month: int = SEPTEMBER) -> dict[tuple[str, str], int]:
    rows = await pool.fetch("SELECT * FROM closed_complaint WHERE month = $1 ORDER BY revision DESC", month)
    latest = max((r["revision"] for r in rows), default=0)
    return {(r["cause"], r["attribution"]): r["complaints"] for r in rows if r["revision"] == latest}


async def count_something(pool: Pool, month: int) -> None:
    """A cell of the month, without which it could not be closed."""
    unit = await pool.fetchval("INSERT INTO unit (cut, value) VALUES ('total', '') RETURNING id")
    await pool.execute(
        "INSERT INTO cell SELECT ($1::bigint << 32) | (2::bigint << 30) | $2::bigint, 1, 0, 0, 0, 0, 60, 2000, 100,"
        " 0, 0, 0, 0, 0",
        unit,
        month,
    )


async def test_whatever_the_order_and_however_often_the_last_revision_of_a_case_counts_once(pool: Pool) -> None:
    told = [
        case("a"),
        case("a", 2, cause=Cause.LATE),
        case("a", 3, cause=Cause.LATE, attribution=Attribution.OWN),
        case("b", 1, cause=Cause.MISSING, attribution=Attribution.UNCLEAR),
        case("c", 1, cause=Cause.LATE, attribution=Attribution.OWN, nature=Nature.VIEWPOINT),
        case("d"),
    ] * 2
    random.Random(5).shuffle(told)
    for i in range(0, len(told), 5):
        await keep(pool, *told[i : i + 5])
    await count_something(pool, SEPTEMBER)
    async with pool.acquire() as connection:
        await Months(9).close(connection, SEPTEMBER, LATER)
    assert await closed(pool) == {("late", "own"): 1, ("missing", "unclear"): 1, ("", ""): 1}


async def test_a_closed_months_complaints_stay_and_a_revision_takes_what_was_judged_since(pool: Pool) -> None:
    await keep(pool, case("a"))
    await count_something(pool, SEPTEMBER)
    months = Months(9)
    async with pool.acquire() as connection:
        await months.close(connection, SEPTEMBER, LATER)
        await keep(pool, case("a", 2, cause=Cause.OTHER, attribution=Attribution.OTHER_OPERATOR))
        assert await closed(pool) == {("", ""): 1}
        await connection.execute("UPDATE cell SET s5 = s5 + 1")
        await months.revise(connection, SEPTEMBER, "late answers", LATER)
        assert await closed(pool) == {("other", "other_operator"): 1}
        cells = {("total", ""): Counted((0, 0, 0, 0, 60), 2000, 100)}
        shown = Revision(2, "late answers", LATER, cells)
        told = await ClosedMonths().complaints(connection, Month(SEPTEMBER, shown, shown))
        assert (told.delivered, told.judged, told.waiting) == (2000, 1, 0)
        assert (
            await ClosedMonths().complaints(
                connection, replace(Month(SEPTEMBER, shown, shown), shown=replace(shown, number=1))
            )
        ).waiting == 1
        with pytest.raises(asyncpg.RestrictViolationError, match="never changes"):
            await connection.execute("DELETE FROM closed_complaint")


async def test_cases_that_are_judged_after_the_closing_are_enough_for_a_revision(pool: Pool) -> None:
    await keep(pool, case("a"), case("b"), case("c", 1, cause=Cause.LATE, attribution=Attribution.OWN))
    await count_something(pool, SEPTEMBER)
    months = Months(9)
    async with pool.acquire() as connection:
        await months.close(connection, SEPTEMBER, LATER)
        await keep(pool, case("d", nature=Nature.VIEWPOINT), case("e", at=AT))  # no complaint, and one of October
        assert [m["moved"] for m in await months.listed(connection)] == [0]
        with pytest.raises(MustStop, match="nothing in 2026-09 changed"):
            await months.revise(connection, SEPTEMBER, "cases judged", LATER)
        await keep(pool, case("a", 2, cause=Cause.MISSING, attribution=Attribution.UNCLEAR))
        assert [m["moved"] for m in await months.listed(connection)] == [2]  # one more is missing, one waits no more
        assert await months.revise(connection, SEPTEMBER, "cases judged", LATER) == 2
        assert await closed(pool) == {("late", "own"): 1, ("missing", "unclear"): 1, ("", ""): 1}
        assert [m["moved"] for m in await months.listed(connection)] == [0]


def test_a_case_counts_in_the_month_of_its_delivery_on_the_clock_there() -> None:
    assert month_of_delivery(case("a", at=AT)) == SEPTEMBER + 1
    assert month_of_delivery(case("a", at=AT - timedelta(hours=1))) == SEPTEMBER


def test_a_zone_that_is_none_makes_a_dead_letter() -> None:
    strange = case("a").model_copy(update={"delivery": case("a").delivery.model_copy(update={"zone": "Europe"})})
    with pytest.raises(Poison):
        month_of_delivery(strange)


async def test_cases_are_read_behind_a_fence_and_poison_does_not_stop_them(pool: Pool, settings: Settings) -> None:
    subscriptions = Subscriptions(settings, "aggregator", 8603, pool, Metrics(), Traces("aggregator"))
    fence = complaints_reader(subscriptions).fence
    part = await begin(pool, FEEDBACK_CASE)

    def of(offset: int, value: bytes) -> ConsumerRecord:
        return record(FEEDBACK_CASE, offset, value)

    good = [case(n).model_dump_json(exclude_none=True).encode() for n in ("a", "b")]
    await fence.take({part: [of(0, good[0]), of(1, b"{}"), of(2, good[1])]})
    await fence.take({part: [of(1, b"{}"), of(2, good[1])]})
    assert await pool.fetchval("SELECT count(*) FROM complaint") == 2
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'feedback.case.v1.dlq'") == 1
    assert await progress_of(pool, FEEDBACK_CASE) == 3
