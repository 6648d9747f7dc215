"""Praise on a real database: answered, taken up, hung on the board, and the pages that show it."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette

from schemas.response import ResponseRecorded
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.survey.comments.languages import Languages
from services.survey.comments.texts import SealedTexts
from services.survey.praise.board import Board, Boards, BoardView
from services.survey.praise.board_http import BoardRoutes
from services.survey.praise.board_page import BoardPage
from services.survey.praise.desk import PraiseDesk
from services.survey.praise.http import PraiseRoutes
from services.survey.praise.own import OwnPraise
from services.survey.praise.queue_page import QueuePage
from services.survey.praise.reaction import TakeUpPraise
from services.survey.praise.rules import Act, Rules
from tests.answers import answered
from tests.builders import NOON
from tests.conftest import SEALING_KEY
from tests.members import LEAD, HeaderGate

SEAL = Seal(bytes.fromhex(SEALING_KEY))
TEXTS = SealedTexts(SEAL)
COMMENT = "Ringde 070-174 06 05 innan, snälla Kalle"
ARSTA = Board("Årsta", "Årsta terminal", "sv")
TAKE_UP = TakeUpPraise(Rules(), TEXTS, lambda at, _zone, _country: at + timedelta(hours=16), lambda: NOON)


def desk_of(pool: Pool, metrics: Metrics | None = None) -> PraiseDesk:
    return PraiseDesk(pool, SEAL, TEXTS, metrics or Metrics(), lambda: NOON + timedelta(hours=1))


def pages_of(pool: Pool) -> Starlette:
    """All pages of praise: the queue, the boards, and a driver's own."""
    pages = PraiseRoutes(desk_of(pool), HeaderGate(), QueuePage(), Languages(), lambda: NOON + timedelta(hours=17))
    boards = BoardRoutes(Boards(pool, TEXTS, lambda: NOON, 7), HeaderGate(), BoardPage(7))
    own = OwnPraise(pool, TEXTS, Languages(), HeaderGate(), lambda: NOON + timedelta(hours=1))
    return Starlette(routes=[*own.routes(), *pages.routes(), *boards.routes()])


async def react(pool: Pool, *messages: Received[ResponseRecorded]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await TAKE_UP(connection, messages)


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


async def board_now(pool: Pool, at: datetime = NOON) -> BoardView:
    return await Boards(pool, TEXTS, lambda: at, 7).view(ARSTA)
