"""What staff work with, put together: cases, praise, comments, words about outcomes, and the way in."""

from dataclasses import dataclass

from starlette.routing import BaseRoute

from services.chassis.lifecycle import Task
from services.survey.cases.wiring import case_parts
from services.survey.comments.languages import Languages
from services.survey.comments.texts import SealedTexts
from services.survey.comments.wiring import comment_parts
from services.survey.followup import Reaction
from services.survey.outcomes.wiring import outcomes_of
from services.survey.praise.wiring import praise_parts
from services.survey.shared import Shared
from services.survey.staff.wiring import sign_in_parts


@dataclass(frozen=True, slots=True)
class StaffParts:
    """What the survey service runs for staff; `reactions` follow every answer."""

    reactions: list[Reaction]
    routes: list[BaseRoute]
    tasks: dict[str, Task]


def staff_parts(shared: Shared) -> StaffParts:
    """Put the side of staff together.

    Raises:
        MustStop: a setting does not fit.
    """
    texts, languages = SealedTexts(shared.seal), Languages()
    comments = comment_parts(shared, texts, languages)
    praise = praise_parts(shared, texts, languages)
    cases = case_parts(shared, texts)
    outcomes = outcomes_of(shared)
    sign_in = sign_in_parts(shared)
    tasks = {"case changes": cases.watch, "sign-outs": sign_in.watch, "own sign-outs": sign_in.keep}
    return StaffParts(
        [cases.reaction, praise.reaction, comments.reaction],
        [*sign_in.routes, *cases.routes, *praise.routes, *comments.routes],
        {**tasks, "outcomes": outcomes.run} if outcomes else tasks,
    )
