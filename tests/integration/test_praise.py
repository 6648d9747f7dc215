"""Praise from the answer to the board: kept, told and shown by a real PostgreSQL."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from starlette.applications import Starlette

from schemas.feedback import FeedbackPraise
from schemas.response import ResponseRecorded
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.staff import Member
from services.survey.comments.languages import Languages
from services.survey.comments.texts import SealedTexts
from services.survey.praise.board import Board, Boards, BoardView, add_board, list_boards, revoke_board
from services.survey.praise.board_http import BoardRoutes
from services.survey.praise.board_page import BoardPage
from services.survey.praise.desk import PraiseDesk
from services.survey.praise.http import PraiseRoutes
from services.survey.praise.own import OwnPraise
from services.survey.praise.queue_page import QueuePage
from services.survey.praise.reaction import TakeUpPraise
from services.survey.praise.rules import Act, Rules, State
from services.survey.praise.scrub import readable
from services.survey.staff.refusals import Impossible, NotAllowed, NotThere, Stale
from tests.answers import answered
from tests.asgi import Reply, ask
from tests.builders import NOON
from tests.conftest import SEALING_KEY
from tests.members import AGENT, ELSEWHERE, LEAD, READER, HeaderGate
from tests.tables import everything_stored

pytestmark = pytest.mark.service("survey")

SEAL = Seal(bytes.fromhex(SEALING_KEY))
TEXTS = SealedTexts(SEAL)
COMMENT = "Ringde 070-174 06 05 innan, snälla Kalle"
ARSTA = Board("Årsta", "Årsta terminal", "sv")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def desk(pool: Pool, metrics: Metrics) -> PraiseDesk:
    return PraiseDesk(pool, SEAL, TEXTS, metrics, lambda: NOON + timedelta(hours=1))


@pytest.fixture
def app(desk: PraiseDesk) -> Starlette:
    pages = PraiseRoutes(desk, HeaderGate(), QueuePage(), Languages(), lambda: NOON + timedelta(hours=17))
    boards = BoardRoutes(Boards(desk.pool, TEXTS, lambda: NOON, 7), HeaderGate(), BoardPage(7))
    own = OwnPraise(desk.pool, TEXTS, Languages(), HeaderGate(), lambda: NOON + timedelta(hours=1))
    return Starlette(routes=[*own.routes(), *pages.routes(), *boards.routes()])


async def react(pool: Pool, *messages: Received[ResponseRecorded]) -> None:
    take_up = TakeUpPraise(Rules(), TEXTS, lambda at, _zone, _country: at + timedelta(hours=16), lambda: NOON)
    async with pool.acquire() as connection, connection.transaction():
        await take_up(connection, messages)


async def praised(pool: Pool, **changed: Any) -> uuid.UUID:
    message = await answered(pool, SEAL, **({"comment": COMMENT} | changed))
    await react(pool, message)
    return uuid.UUID(message.message.response_id)


async def hung(pool: Pool, desk: PraiseDesk, **changed: Any) -> uuid.UUID:
    """Praise on the board."""
    praise_id = await praised(pool, **changed)
    await desk.act(LEAD, praise_id, Act.PASS_ON, revision=1)
    await desk.act(LEAD, praise_id, Act.APPROVE, revision=2)
    return praise_id


async def told(pool: Pool) -> list[FeedbackPraise]:
    rows = await pool.fetch("SELECT key, value FROM outbox WHERE topic = 'feedback.praise.v1' ORDER BY id")
    messages = [FeedbackPraise.model_validate_json(r["value"]) for r in rows]
    assert [r["key"].decode() for r in rows] == [m.praise_id for m in messages]
    return messages


async def board_now(pool: Pool, at: datetime = NOON) -> BoardView:
    return await Boards(pool, TEXTS, lambda: at, 7).view(ARSTA)


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


async def test_the_board_shows_scrubbed_quotes_only_when_ten_were_praised(pool: Pool, desk: PraiseDesk) -> None:
    for _ in range(9):
        await hung(pool, desk)
    assert (await board_now(pool)).quotes == ()

    await hung(pool, desk)
    quotes = (await board_now(pool)).quotes
    assert {readable(q.pieces) for q in quotes} == {"Ringde   innan, snälla Kalle"}


async def test_the_name_in_the_answers_own_contact_wish_is_masked(pool: Pool, desk: PraiseDesk) -> None:
    for n in range(10):
        await hung(pool, desk, comment=f"Snällt. Astrid Canary {n}", contact_name="Astrid Canary")
    shown = {readable(q.pieces) for q in (await board_now(pool)).quotes}
    assert len(shown) == 10
    assert not [text for text in shown if "Astrid" in text or "Canary" in text]


async def test_words_that_staff_masked_do_not_reach_the_board(pool: Pool, desk: PraiseDesk) -> None:
    for _ in range(9):
        await praised(pool)
    praise_id = await praised(pool)
    await desk.act(LEAD, praise_id, Act.PASS_ON, revision=1)
    await desk.act(LEAD, praise_id, Act.APPROVE, revision=2, masks=(6,))
    [quote] = (await board_now(pool)).quotes
    assert "Kalle" not in readable(quote.pieces)


async def test_a_comment_written_after_the_approval_never_reaches_the_board(pool: Pool, desk: PraiseDesk) -> None:
    praise_ids = [await hung(pool, desk) for _ in range(10)]
    message = await answered(pool, SEAL, response_id=praise_ids[0], revision=2, comment="Kalle bor på Storgatan 1")
    assert len((await board_now(pool)).quotes) == 9  # before the survey has read its own topic

    await react(pool, message)
    assert len((await board_now(pool)).quotes) == 9
    shown, _ = await desk.one(LEAD, praise_ids[0])
    assert shown.praise.state is State.PASSED_ON


async def test_the_board_counts_the_day_and_tells_no_number_below_five(pool: Pool, desk: PraiseDesk) -> None:
    for _ in range(4):
        await praised(pool, reasons=("courtesy",))
    view = await board_now(pool)
    assert (view.today, view.passed_on, view.reason) == (None, None, None)

    await desk.act(AGENT, await praised(pool, reasons=("on_time",)), Act.PASS_ON, revision=1)
    declined = await praised(pool)
    await desk.act(AGENT, declined, Act.DECLINE, revision=1)
    await praised(pool, at=NOON - timedelta(hours=13))  # 01:00 the same day in Stockholm
    await praised(pool, at=NOON - timedelta(hours=15))  # the day before
    view = await board_now(pool)
    assert (view.today, view.passed_on, view.reason) == (6, 1, "courtesy")


async def test_another_terminals_praise_does_not_show(pool: Pool, desk: PraiseDesk) -> None:
    for _ in range(10):
        await hung(pool, desk, delivery={"terminal": "Umeå"})
    assert (await board_now(pool)).quotes == ()


async def test_a_boards_key_opens_its_own_terminal_until_it_is_revoked(pool: Pool) -> None:
    key = await add_board(pool, ARSTA)
    boards = Boards(pool, TEXTS, lambda: NOON, 7)
    assert await boards.by_key("Årsta", key) == ARSTA
    assert await boards.by_key("Umeå", key) is None
    assert await boards.by_key("Årsta", key + "x") is None
    assert key not in await everything_stored(pool)

    [listed] = await list_boards(pool)
    assert await revoke_board(pool, listed["name"]) == 1
    assert await boards.by_key("Årsta", key) is None
    assert await revoke_board(pool, listed["name"]) == 0


async def post(app: Starlette, path: str, member: Member, **fields: str) -> Reply:
    form = {"form_secret": f"secret of {member.subject}", **fields}
    headers = [("x-member", member.subject), ("content-type", "application/x-www-form-urlencoded")]
    return await ask(app, "POST", path, headers=headers, parts=[urlencode(form).encode()])


async def test_the_queue_shows_masked_words_deadline_and_what_this_member_may_do(pool: Pool, app: Starlette) -> None:
    await praised(pool)
    page = await ask(app, "GET", "/praise", headers=[("x-member", "agent-1")])
    assert page.status == 200
    assert '<span class="mask">phone</span>' in page.text
    assert "174 06 05" not in page.text
    assert "Late, was due 14 Oct 06:00" in page.text
    assert "Passed on to the one who did it" in page.text
    assert "Swedish" in page.text
    reader = await ask(app, "GET", "/praise", headers=[("x-member", "reader-1")])
    assert "Passed on to the one who did it" not in reader.text


async def test_the_queue_goes_on_page_by_page_without_losing_or_repeating_any(
    pool: Pool, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.survey.praise.desk.PAGE", 2)
    given = {str(await praised(pool)) for _ in range(5)}
    seen: list[str] = []
    path = "/praise?show=waiting"
    for _ in range(3):
        page = (await ask(app, "GET", path, headers=[("x-member", LEAD.subject)])).text
        seen += re.findall(r'<li(?: class="chosen")?><a href="/praise\?show=waiting&id=([0-9a-f-]{36})"', page)
        found = re.search(r'class="further"><a href="([^"]+)"', page)
        path = found[1] if found else ""
    assert (len(seen), set(seen), path) == (5, given, "")
    for wrong in ("x", "0001-01-01T00:00:00+14:00 " + seen[0], "2026-10-13T12:00:00 " + seen[0], "%00"):
        assert (
            await ask(app, "GET", f"/praise?after={quote(wrong)}", headers=[("x-member", LEAD.subject)])
        ).status == 200


async def test_strangers_are_turned_away(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    assert (await ask(app, "GET", "/praise")).status == 401
    assert (await ask(app, "POST", f"/praise/{praise_id}")).status == 401
    assert (await ask(app, "GET", f"/praise?id={praise_id}", headers=[("x-member", "lead-2")])).status == 404


async def test_a_form_without_the_members_secret_does_nothing(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    refused = await post(app, f"/praise/{praise_id}", AGENT, act="pass_on", revision="1", form_secret="guessed")
    assert refused.status == 403
    assert await pool.fetchval("SELECT state FROM praise") == "waiting"


async def test_the_pages_forms_pass_on_and_approve_with_more_masks(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    assert (await post(app, f"/praise/{praise_id}", LEAD, act="pass_on", revision="1")).status == 303
    outdated = await post(app, f"/praise/{praise_id}", LEAD, act="decline", revision="1")
    assert outdated.headers["location"].endswith("notice=outdated")
    assert (await post(app, f"/praise/{praise_id}", LEAD, act="approve", revision="2", mask="6")).status == 303
    row = await pool.fetchrow("SELECT state, masks FROM praise")
    assert row is not None
    assert (row["state"], row["masks"]) == ("on_board", [6])
    assert (await post(app, f"/praise/{praise_id}/driver", AGENT, declines="1")).status == 303
    assert await pool.fetchval("SELECT count(*) FROM driver_opt_out") == 1


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/praise/not-an-id", {"act": "pass_on", "revision": "1"}, 404),
        ("/praise/00000000-0000-4000-8000-000000000000", {"act": "pass_on", "revision": "1"}, 404),
        ("/praise/00000000-0000-4000-8000-000000000000", {"act": "delete", "revision": "1"}, 422),
        ("/praise/00000000-0000-4000-8000-000000000000", {"act": "pass_on", "revision": "-1"}, 422),
    ],
)
async def test_wrong_forms_are_refused(app: Starlette, path: str, fields: dict[str, str], status: int) -> None:
    assert (await post(app, path, LEAD, **fields)).status == status


async def test_a_screen_needs_its_key_and_staff_their_role(pool: Pool, app: Starlette) -> None:
    key = await add_board(pool, ARSTA)
    board = await ask(app, "GET", f"/whiteboard/Årsta/{key}")
    assert board.status == 200
    assert "Årsta terminal" in board.text
    assert "<html" not in (await ask(app, "GET", f"/whiteboard/Årsta/{key}?part=now")).text
    assert (await ask(app, "GET", "/whiteboard/Årsta/AAAAAAAAAAAAAAAAAAAAAA")).status == 404
    assert (await ask(app, "GET", f"/whiteboard/Umeå/{key}")).status == 404

    assert (await ask(app, "GET", "/whiteboard/Årsta")).status == 401
    assert (await ask(app, "GET", "/whiteboard/Årsta", headers=[("x-member", "lead-2")])).status == 403
    assert (await ask(app, "GET", "/whiteboard/Årsta", headers=[("x-member", "reader-1")])).status == 200


async def test_staff_choose_among_the_boards_of_their_terminals(pool: Pool, app: Starlette) -> None:
    await praised(pool)
    await praised(pool, delivery={"terminal": "Umeå"})
    await add_board(pool, Board("Luleå", "Luleå", "sv"))
    assert (await ask(app, "GET", "/whiteboard")).status == 401
    lead = (await ask(app, "GET", "/whiteboard", headers=[("x-member", "lead-1")])).text
    assert [t for t in ("Årsta", "Umeå", "Luleå") if f">{t}</a>" in lead] == ["Årsta", "Umeå", "Luleå"]
    reader = (await ask(app, "GET", "/whiteboard", headers=[("x-member", "reader-1")])).text
    assert [t for t in ("Årsta", "Umeå", "Luleå") if f">{t}</a>" in reader] == ["Årsta"]


async def own_page(app: Starlette, member: str) -> Reply:
    return await ask(app, "GET", "/praise/mine", headers=[("x-member", member)])


async def test_a_driver_reads_own_praise_at_once_scrubbed_and_with_the_day_only(pool: Pool, app: Starlette) -> None:
    await praised(pool)
    await praised(pool, delivery={"driver": "DRV-2"}, comment="Till en annan")
    reply = await own_page(app, "driver-1")
    text = reply.text
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    assert "Ringde" in text
    assert "Delivery of 13 Oct<" in text
    assert "Till en annan" not in text
    assert "174 06 05" not in text


async def test_what_was_declined_or_disputed_is_not_on_the_drivers_page(
    pool: Pool, desk: PraiseDesk, app: Starlette
) -> None:
    declined, disputed = await praised(pool), await praised(pool, comment="Fel förare")
    await desk.act(LEAD, declined, Act.DECLINE, revision=1)
    await desk.act(LEAD, disputed, Act.PASS_ON, revision=1)
    await desk.act(LEAD, disputed, Act.DISPUTE, revision=2, evidence="Jag var ledig")
    assert "Nothing was written" in (await own_page(app, "driver-1")).text


async def test_a_comment_that_changed_unseen_is_not_on_the_drivers_page(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    await answered(pool, SEAL, response_id=praise_id, revision=2, comment="Något helt annat")
    text = (await own_page(app, "driver-1")).text
    assert "Nothing was written" in text
    assert "helt annat" not in text


@pytest.mark.parametrize(("member", "status"), [("lead-1", 403), ("reader-1", 403), ("", 401)])
async def test_nobody_else_reads_a_drivers_praise(pool: Pool, app: Starlette, member: str, status: int) -> None:
    await praised(pool)
    reply = await own_page(app, member)
    assert reply.status == status
    assert "Ringde" not in reply.text
