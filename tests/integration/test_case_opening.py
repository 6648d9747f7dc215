"""Answers open cases exactly once, however often the topic is read."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.feedback import FeedbackCase
from schemas.response import ResponseRecorded
from schemas.topics import RESPONSE_RECORDED
from services.chassis.consumer import Reader
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.own_feed import consume
from services.chassis.postgres import Pool
from services.chassis.records import Received, reading
from services.chassis.settings import Settings
from services.survey.cases.clock import WorkingHours
from services.survey.cases.opening import Deadlines, OpenCases
from services.survey.cases.rules import CaseRules
from services.survey.followup import FollowUp
from tests.builders import NOON, facts
from tests.harness import make_topic, producing, until

pytestmark = pytest.mark.service("survey")

DEADLINES = Deadlines(WorkingHours.parse("Mon-Fri 08-18"), timedelta(hours=10))
OPEN = OpenCases(CaseRules(), DEADLINES, lambda: NOON + timedelta(minutes=1))
A, B = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def answer(response_id: str = A, revision: int = 1, **changed: Any) -> Received[ResponseRecorded]:
    plain: dict[str, Any] = {
        "response_id": response_id,
        "revision": revision,
        "answered_at": NOON,
        "recorded_at": NOON,
        "delivery": facts(**changed.pop("delivery", {})),
    }
    return Received(ResponseRecorded.model_validate({**plain, **changed}), None, NOON)


async def take(pool: Pool, *answers: Received[ResponseRecorded]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await FollowUp([OPEN])(connection, answers)


async def told(pool: Pool) -> list[FeedbackCase]:
    rows = await pool.fetch("SELECT key, value FROM outbox WHERE topic = 'feedback.case.v1' ORDER BY id")
    events = [FeedbackCase.model_validate_json(r["value"]) for r in rows]
    assert [r["key"].decode() for r in rows] == [e.case_id for e in events]
    return events


async def test_a_low_score_opens_a_case_with_its_deadline_and_one_event(pool: Pool) -> None:
    await take(pool, answer(score=2, reasons=["on_time"]), answer(B, score=4))
    [row] = await pool.fetch("SELECT * FROM feedback_case")
    assert (row["response_id"], row["state"], row["desk"], row["opened_because"]) == (A, "open", "Årsta", ["low_score"])
    assert row["due_at"] == datetime(2026, 10, 14, 12, 0, tzinfo=UTC)
    [event] = await told(pool)
    assert (event.revision, event.state, event.score, event.response_id) == (1, "open", 2, A)
    assert (event.sla_due_at, event.opened_at) == (row["due_at"], NOON + timedelta(minutes=1))
    entries = await pool.fetch("SELECT what, detail FROM case_entry ORDER BY entry_id")
    assert [tuple(e) for e in entries] == [("answered", "2"), ("opened", "low_score")]


async def test_later_revisions_change_the_one_case_of_a_response_each_once(pool: Pool) -> None:
    await take(pool, answer(score=2))
    for _ in range(2):
        await take(pool, answer(revision=2, score=1, wants_contact=True))
        await take(pool, answer(score=2))
    assert await pool.fetchval("SELECT count(*) FROM feedback_case") == 1
    events = await told(pool)
    assert [(e.revision, e.score, [str(t) for t in e.opened_because]) for e in events] == [
        (1, 2, ["low_score"]),
        (2, 1, ["low_score", "wants_contact"]),
    ]


async def test_a_resolved_case_opens_again_with_a_new_clock_when_the_person_asks_for_contact(pool: Pool) -> None:
    await take(pool, answer(score=2))
    await pool.execute("UPDATE feedback_case SET state = 'resolved', resolved_at = $1, due_at = NULL", NOON)
    await take(pool, answer(revision=2, score=2, wants_contact=True, recorded_at=NOON + timedelta(days=3)))
    [_, event] = await told(pool)
    assert (event.state, event.resolved_at, event.revision) == ("reopened", None, 2)
    assert event.sla_due_at == datetime(2026, 10, 14, 12, 0, tzinfo=UTC)
    assert await pool.fetchval("SELECT due_at FROM feedback_case") == datetime(2026, 10, 19, 12, 0, tzinfo=UTC)


async def test_an_answer_that_was_changed_since_opens_no_case_when_it_comes_late(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO response (response_id, revision, score, answered_at, changed_at) VALUES ($1, 2, 5, $2, $2)",
        A,
        NOON,
    )
    await take(pool, answer(score=1))
    await take(pool, answer(revision=2, score=5))
    assert await pool.fetchval("SELECT count(*) FROM feedback_case") == 0


async def test_erasure_takes_the_words_of_staff_and_opens_nothing(pool: Pool) -> None:
    await take(pool, answer(score=1, wants_contact=True))
    await pool.execute("UPDATE feedback_case SET outcome_sealed = 'x'")
    await pool.execute("UPDATE case_entry SET note_sealed = 'x'")
    await take(pool, answer(revision=2, score=1, erased=True), answer(B, score=1, erased=True))
    assert await pool.fetchval("SELECT count(*) FROM case_entry WHERE note_sealed IS NOT NULL") == 0
    row = await pool.fetchrow(
        "SELECT count(*) AS n, bool_or(wants_contact) AS wants, max(outcome_sealed) AS o FROM feedback_case"
    )
    assert row is not None
    assert (row["n"], row["wants"], row["o"]) == (1, False, None)


async def test_a_topic_read_again_from_its_start_leaves_the_same_cases(pool: Pool, settings: Settings) -> None:
    topic = await make_topic(settings)
    answers = [answer(str(uuid.UUID(int=n)), score=1 + n % 5) for n in range(1, 61)]
    answers += [answer(str(uuid.UUID(int=n)), 2, score=1, wants_contact=n % 2 == 0) for n in range(1, 21)]
    async with producing(settings) as producer:
        for given in answers:
            key = given.message.response_id.encode()
            await producer.send(topic, given.message.model_dump_json(exclude_none=True).encode(), key=key)
    seen = []
    for _ in range(3):
        await pool.execute("DELETE FROM progress")
        await _read_to_the_end(pool, settings, topic, len(answers))
        seen.append(
            [
                json.dumps([str(v) for v in r.values()])
                for r in [
                    *await pool.fetch("SELECT * FROM feedback_case ORDER BY case_id"),
                    *await pool.fetch("SELECT * FROM case_entry ORDER BY entry_id"),
                    *await pool.fetch("SELECT key, value FROM outbox WHERE topic = 'feedback.case.v1' ORDER BY id"),
                ]
            ]
        )
    assert await pool.fetchval("SELECT count(*) FROM feedback_case") == 36
    assert seen[1] == seen[0]
    assert seen[2] == seen[0]


async def _read_to_the_end(pool: Pool, settings: Settings, topic: str, records: int) -> None:
    fence = Fence(
        pool=pool,
        service="survey",
        group=f"g-{topic}",
        decode=reading(ResponseRecorded, "test"),
        apply=FollowUp([OPEN]),
        dead_letter_topics={topic: RESPONSE_RECORDED + ".dlq"},
        metrics=Metrics(),
    )
    stop = asyncio.Event()
    task = asyncio.create_task(consume(Reader(settings, fence, [topic]), stop, max_records=7))

    async def done() -> bool:
        return task.done() or await pool.fetchval("SELECT sum(next) FROM progress WHERE topic = $1", topic) == records

    await until(done, stop)
    stop.set()
    await task
