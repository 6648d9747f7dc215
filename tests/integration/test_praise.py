"""Praise from the answer to those whom it is for: kept, told and worked on with a real PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest

from schemas.feedback import FeedbackPraise
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.survey.praise.desk import PraiseDesk
from services.survey.praise.rules import Act, State
from services.survey.praise.store import SQL
from services.survey.staff.refusals import Impossible, NotAllowed, NotThere, Stale
from tests.answers import answered
from tests.builders import NOON
from tests.members import AGENT, ELSEWHERE, LEAD, READER
from tests.praising import COMMENT, SEAL, TAKE_UP, board_now, desk_of, hung, praised, react
from tests.tables import everything_stored

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def desk(pool: Pool, metrics: Metrics) -> PraiseDesk:
    return desk_of(pool, metrics)


async def told(pool: Pool) -> list[FeedbackPraise]:
    rows = await pool.fetch("SELECT key, value FROM outbox WHERE topic = 'feedback.praise.v1' ORDER BY id")
    messages = [FeedbackPraise.model_validate_json(r["value"]) for r in rows]
    assert [r["key"].decode() for r in rows] == [m.praise_id for m in messages]
    return messages


async def test_praise_is_opened_once_and_told_without_its_words(pool: Pool) -> None:
    message = await answered(pool, SEAL, comment=COMMENT)
    await react(pool, message)
    await react(pool, message)

    [only] = await told(pool)
    assert (only.revision, only.terminal, only.driver, only.commented, only.on_board) == (
        1,
        "Årsta",
        "DRV-1",
        True,
        False,
    )
    assert only.pass_on_by == NOON + timedelta(hours=16)
    stored = await everything_stored(pool)
    assert "Kalle" not in stored
    assert "174 06 05" not in stored


async def test_answers_that_are_no_praise_leave_nothing(pool: Pool) -> None:
    await react(pool, await answered(pool, SEAL, score=2, comment="Aldrig mer"), await answered(pool, SEAL))
    assert await pool.fetchval("SELECT count(*) FROM praise") == 0
    assert await told(pool) == []


async def test_each_step_is_a_revision_on_the_topic_and_a_line_in_the_timeline(pool: Pool, desk: PraiseDesk) -> None:
    praise_id = await hung(pool, desk)
    await desk.act(AGENT, praise_id, Act.DISPUTE, revision=3, evidence="Jag var ledig den dagen")
    await desk.act(LEAD, praise_id, Act.RESTORE, revision=4)

    messages = await told(pool)
    assert [m.revision for m in messages] == [1, 2, 3, 4, 5]
    assert [m.on_board for m in messages] == [False, False, True, False, False]
    assert [m.passed_on_at is not None for m in messages] == [False, True, True, True, True]
    shown, timeline = await desk.one(LEAD, praise_id)
    assert shown.praise.state is State.PASSED_ON
    assert [(m.what, m.member) for m in timeline] == [
        ("opened", None),
        ("pass_on", "Lena Ledare"),
        ("approve", "Lena Ledare"),
        ("dispute", "Anton Agent"),
        ("restore", "Lena Ledare"),
    ]
    assert timeline[3].note == "Jag var ledig den dagen"
    assert "ledig" not in await everything_stored(pool)


async def test_passing_on_is_counted(pool: Pool, desk: PraiseDesk, metrics: Metrics) -> None:
    await desk.act(AGENT, await praised(pool), Act.PASS_ON, revision=1)
    assert metrics.registry.get_sample_value("kvittera_praise_total", {"act": "pass_on"}) == 1


async def test_roles_hold_per_terminal(pool: Pool, desk: PraiseDesk) -> None:
    praise_id = await praised(pool)
    for member, error in ((READER, NotAllowed), (ELSEWHERE, NotThere)):
        with pytest.raises(error):
            await desk.act(member, praise_id, Act.PASS_ON, revision=1)
    await desk.act(AGENT, praise_id, Act.PASS_ON, revision=1)
    with pytest.raises(NotAllowed):
        await desk.act(AGENT, praise_id, Act.APPROVE, revision=2)
    assert await desk.queue(ELSEWHERE, State) == ([], None)
    assert [s.praise.state for s in (await desk.queue(READER, State))[0]] == [State.PASSED_ON]


async def test_two_people_at_once_do_it_once(pool: Pool, desk: PraiseDesk) -> None:
    praise_id = await praised(pool)
    await desk.act(AGENT, praise_id, Act.PASS_ON, revision=1)
    with pytest.raises(Stale):
        await desk.act(LEAD, praise_id, Act.DECLINE, revision=1)
    assert len(await told(pool)) == 2


async def test_a_comment_that_changed_unseen_cannot_be_approved(pool: Pool, desk: PraiseDesk) -> None:
    praise_id = await praised(pool)
    await desk.act(LEAD, praise_id, Act.PASS_ON, revision=1)
    await answered(pool, SEAL, response_id=praise_id, revision=2, comment="Något helt annat")
    with pytest.raises(Stale):
        await desk.act(LEAD, praise_id, Act.APPROVE, revision=2)


async def test_a_dispute_lasts_through_answers_that_praise_no_more_and_praise_again(
    pool: Pool, desk: PraiseDesk
) -> None:
    praise_id = await hung(pool, desk)
    await desk.act(AGENT, praise_id, Act.DISPUTE, revision=3, evidence="Jag var ledig den dagen")
    await react(pool, await answered(pool, SEAL, response_id=praise_id, revision=2, score=2, comment=COMMENT))
    assert (await desk.one(LEAD, praise_id))[0].praise.state is State.WITHDRAWN
    await react(pool, await answered(pool, SEAL, response_id=praise_id, revision=3, score=5, comment=COMMENT))
    assert (await desk.one(LEAD, praise_id))[0].praise.state is State.DISPUTED
    assert [m.withdrawn for m in await told(pool)] == [False, False, False, False, True, False]


async def test_a_dispute_needs_evidence(pool: Pool, desk: PraiseDesk) -> None:
    praise_id = await hung(pool, desk)
    with pytest.raises(Impossible):
        await desk.act(AGENT, praise_id, Act.DISPUTE, revision=3)


async def test_a_driver_who_declines_leaves_board_and_topic_and_may_come_back(pool: Pool, desk: PraiseDesk) -> None:
    praise_ids = [await hung(pool, desk) for _ in range(10)]
    assert {quote.sign is None for quote in (await board_now(pool)).quotes} == {False}

    await desk.set_driver(AGENT, praise_ids[0], declines=True)
    view = await board_now(pool)
    assert [(q.sign, q.route) for q in view.quotes] == [(None, "14")] * 10
    latest = {m.praise_id: m for m in await told(pool)}
    assert {m.driver for m in latest.values()} == {None}

    await desk.set_driver(AGENT, praise_ids[0], declines=False)
    assert {quote.sign is None for quote in (await board_now(pool)).quotes} == {False}
    latest = {m.praise_id: m for m in await told(pool)}
    assert {m.driver for m in latest.values()} == {"DRV-1"}


async def test_two_who_say_at_once_that_a_driver_declines_do_not_wait_for_each_other_for_ever(
    pool: Pool, desk: PraiseDesk
) -> None:
    praise_ids = [await praised(pool) for _ in range(2)]
    async with pool.acquire() as other:
        holding = other.transaction()
        await holding.start()
        await other.execute(SQL["decline_driver"], "DRV-1", NOON, "both wait for this row")
        both = asyncio.gather(*(desk.set_driver(AGENT, p, declines=True) for p in praise_ids))
        await asyncio.wait([both], timeout=0.5)
        await holding.rollback()
        await both
    assert {m.driver for m in (await told(pool))[2:]} == {None}
    assert [[m.what for m in (await desk.one(LEAD, p))[1]] for p in praise_ids] == [["opened", "driver_declines"]] * 2


async def test_a_driver_who_declines_while_new_praise_is_taken_up_is_not_named_in_it(
    pool: Pool, desk: PraiseDesk
) -> None:
    known, message = await praised(pool), await answered(pool, SEAL, comment=COMMENT)
    async with pool.acquire() as connection, connection.transaction():
        await TAKE_UP(connection, [message])
        declining = asyncio.ensure_future(desk.set_driver(AGENT, known, declines=True))
        await asyncio.wait([declining], timeout=0.5)
    await declining
    latest = {m.praise_id: m for m in await told(pool)}
    assert {m.driver for m in latest.values()} == {None}
