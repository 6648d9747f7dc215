"""The whiteboard of a terminal: scrubbed quotes of many, no number of few, behind a key."""

from datetime import timedelta

import pytest
from starlette.applications import Starlette

from services.chassis.postgres import Pool
from services.survey.praise.board import Board, Boards, add_board, list_boards, revoke_board
from services.survey.praise.desk import PraiseDesk
from services.survey.praise.rules import Act, State
from services.survey.praise.scrub import readable
from tests.answers import answered
from tests.asgi import ask
from tests.builders import NOON
from tests.members import AGENT, LEAD
from tests.praising import ARSTA, SEAL, TEXTS, board_now, desk_of, hung, pages_of, praised, react
from tests.tables import everything_stored

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def desk(pool: Pool) -> PraiseDesk:
    return desk_of(pool)


@pytest.fixture
def app(pool: Pool) -> Starlette:
    return pages_of(pool)


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
