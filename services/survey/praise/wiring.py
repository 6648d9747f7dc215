"""Praise put together from the settings; the survey's composition root calls this and nothing else here."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.routing import BaseRoute

from services.chassis.settings import Settings
from services.survey.cases.clock import WorkingClock, WorkingHours
from services.survey.comments.languages import Languages
from services.survey.comments.texts import Texts
from services.survey.followup import Reaction
from services.survey.praise.board import Boards
from services.survey.praise.board_http import BoardRoutes
from services.survey.praise.board_page import BoardPage
from services.survey.praise.desk import PraiseDesk
from services.survey.praise.http import PraiseRoutes
from services.survey.praise.own import OwnPraise
from services.survey.praise.queue_page import QueuePage
from services.survey.praise.reaction import TakeUpPraise
from services.survey.praise.rules import PassOnBy, Rules
from services.survey.shared import Shared


@dataclass(frozen=True, slots=True)
class PraiseParts:
    """What the survey service runs for praise."""

    reaction: Reaction
    routes: list[BaseRoute]


def praise_parts(shared: Shared, texts: Texts, languages: Languages) -> PraiseParts:
    """Put praise together."""
    settings, pool, gate, now = shared.settings, shared.pool, shared.gate, shared.now
    desk = PraiseDesk(
        pool=pool, seal=shared.seal, texts=texts, metrics=shared.metrics, now=now, wake_relay=shared.wake_relay
    )
    pages = PraiseRoutes(desk=desk, gate=gate, page=QueuePage(), languages=languages, now=now)
    reaction = TakeUpPraise(rules=rules_of(settings), texts=texts, pass_on_by=_deadline(settings), now=now)
    boards = BoardRoutes(Boards(pool, texts, now, settings.board_days), gate, BoardPage(settings.board_days))
    own = OwnPraise(pool, texts, languages, gate, now)
    return PraiseParts(reaction, [*own.routes(), *pages.routes(), *boards.routes()])


def rules_of(settings: Settings) -> Rules:
    """Which answers are praise, by the settings."""
    chips = frozenset(chip for chip in settings.praise_chips.split(",") if chip)
    return Rules(from_score=settings.praise_from_score, chips=chips)


def _deadline(settings: Settings) -> PassOnBy:
    hours, allowed = WorkingHours.parse(settings.case_working_hours), timedelta(hours=settings.praise_hours)
    return lambda at, zone, country: WorkingClock(hours, zone, country).after(at, allowed)
