"""What staff work with, put together: cases, praise, comments, words about outcomes, and the way in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.routing import BaseRoute

from services.chassis.lifecycle import Task
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff import Gate
from services.survey.cases.wiring import case_parts
from services.survey.comments.languages import Languages
from services.survey.comments.texts import SealedTexts
from services.survey.comments.wiring import comment_parts
from services.survey.followup import Reaction
from services.survey.outcomes.wiring import outcomes_of
from services.survey.praise.wiring import praise_parts
from services.survey.staff.wiring import sign_in_parts


@dataclass(frozen=True, slots=True)
class StaffParts:
    """What the survey service runs for staff; `reactions` follow every answer."""

    reactions: list[Reaction]
    routes: list[BaseRoute]
    tasks: dict[str, Task]


def staff_parts(
    settings: Settings,
    *,
    pool: Pool,
    seal: Seal,
    gate: Gate,
    metrics: Metrics,
    now: Callable[[], datetime],
    wake_relay: Callable[[], None],
) -> StaffParts:
    """Put the side of staff together.

    Raises:
        MustStop: a setting does not fit.
    """
    texts, languages = SealedTexts(seal), Languages()
    comments = comment_parts(pool=pool, texts=texts, languages=languages, gate=gate)
    praise = praise_parts(
        settings,
        pool=pool,
        seal=seal,
        texts=texts,
        languages=languages,
        gate=gate,
        metrics=metrics,
        now=now,
        wake_relay=wake_relay,
    )
    cases = case_parts(
        settings, pool=pool, seal=seal, texts=texts, gate=gate, metrics=metrics, now=now, wake_relay=wake_relay
    )
    outcomes = outcomes_of(settings, pool=pool, seal=seal, metrics=metrics, now=now, wake_relay=wake_relay)
    sign_in = sign_in_parts(settings, gate, pool, metrics)
    tasks = {"case changes": cases.watch, "sign-outs": sign_in.watch, "own sign-outs": sign_in.keep}
    return StaffParts(
        [cases.reaction, praise.reaction, comments.reaction],
        [*sign_in.routes, *cases.routes, *praise.routes, *comments.routes],
        {**tasks, "outcomes": outcomes.run} if outcomes else tasks,
    )
