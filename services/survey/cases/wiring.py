"""Cases put together from the settings; the survey's composition root calls this and nothing else here."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.routing import Route

from services.chassis.lifecycle import Task
from services.chassis.metrics import Metrics
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Database, Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff import Gate
from services.chassis.web.files import page_files
from services.survey.answers.relabelling import Relabelling
from services.survey.cases.changes import CaseChanges
from services.survey.cases.clock import WorkingHours
from services.survey.cases.contacts import SealedContacts
from services.survey.cases.desk import CaseDesk
from services.survey.cases.http import CaseRoutes
from services.survey.cases.opening import Deadlines, OpenCases
from services.survey.cases.page import PAGES, InboxPage
from services.survey.cases.queries import CaseQueries
from services.survey.cases.rules import CaseRules
from services.survey.comments.texts import Texts
from services.survey.followup import Reaction
from services.survey.outcomes.message import ways_out
from services.survey.staff.directory import Directory


@dataclass(frozen=True, slots=True)
class CaseParts:
    """What the survey service runs for cases."""

    desk: CaseDesk
    reaction: Reaction
    routes: list[Route]
    watch: Task


def case_parts(
    settings: Settings,
    *,
    pool: Pool,
    seal: Seal,
    texts: Texts,
    gate: Gate,
    metrics: Metrics,
    now: Callable[[], datetime],
    wake_relay: Callable[[], None],
) -> CaseParts:
    """Put cases together.

    Raises:
        MustStop: a setting does not fit.
    """

    async def comments(connection: Database, responses: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, str]:
        return {response: comment.text for response, comment in (await texts.of(connection, responses)).items()}

    deadlines = deadlines_of(settings)
    notes = seal.for_purpose("case notes")
    cases = CaseQueries(pool, notes, comments, Directory(pool, now))
    desk = CaseDesk(
        cases=cases,
        pool=pool,
        notes=notes,
        contacts=SealedContacts(PersonKeys(seal)),
        deadlines=deadlines,
        metrics=metrics,
        now=now,
        wake=wake_relay,
        relabelling=Relabelling(pool, wake_relay, now),
        sends=ways_out(settings.channel, settings.outcome_text_url),
    )
    changes = CaseChanges(pool, metrics, now)
    scope_note = f"{settings.brand}, demo data" if settings.demo_mark else settings.brand
    routes = CaseRoutes(
        gate=gate,
        cases=cases,
        desk=desk,
        page=InboxPage.load(scope_note=scope_note),
        changes=changes,
        files=page_files(PAGES),
        close=lambda text, case: notes.close(text, f"outcome {case}"),
    )
    return CaseParts(desk, OpenCases(rules_of(settings), deadlines, now), routes.routes(), changes.run)


def rules_of(settings: Settings) -> CaseRules:
    """Return what calls for a case."""
    return CaseRules.from_settings(settings.case_low_score, settings.case_triggers, settings.case_desks)


def deadlines_of(settings: Settings) -> Deadlines:
    """Return how long first contact may take."""
    return Deadlines(WorkingHours.parse(settings.case_working_hours), timedelta(hours=settings.case_contact_hours))
