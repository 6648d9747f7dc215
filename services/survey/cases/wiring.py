"""Cases put together from the settings; the survey's composition root calls this and nothing else here."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.routing import Route

from services.chassis.lifecycle import Task
from services.chassis.persons import PersonKeys
from services.chassis.settings import Settings
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
from services.survey.shared import Shared
from services.survey.staff.directory import Directory


@dataclass(frozen=True, slots=True)
class CaseParts:
    """What the survey service runs for cases."""

    desk: CaseDesk
    reaction: Reaction
    routes: list[Route]
    watch: Task


def case_parts(shared: Shared, texts: Texts) -> CaseParts:
    """Put cases together.

    Raises:
        MustStop: a setting does not fit.
    """
    settings, pool, now = shared.settings, shared.pool, shared.now
    deadlines, notes = deadlines_of(settings), shared.seal.for_purpose("case notes")
    cases = CaseQueries(pool, notes, texts, Directory(pool, now))
    desk = CaseDesk(
        cases=cases,
        pool=pool,
        notes=notes,
        contacts=SealedContacts(PersonKeys(shared.seal)),
        deadlines=deadlines,
        metrics=shared.metrics,
        now=now,
        wake=shared.wake_relay,
        relabelling=Relabelling(pool, shared.wake_relay, now),
        sends=ways_out(settings.channel, settings.outcome_text_url),
    )
    changes = CaseChanges(pool, shared.metrics, now)
    routes = CaseRoutes(
        gate=shared.gate,
        cases=cases,
        desk=desk,
        page=InboxPage.load(scope_note=f"{settings.brand}, demo data" if settings.demo_mark else settings.brand),
        changes=changes,
        files=page_files(PAGES),
        close=lambda text, case: notes.close(text, f"outcome {case}"),
    )
    return CaseParts(desk, OpenCases(rules_of(settings), deadlines, now), routes.routes(), changes.run)


def rules_of(settings: Settings) -> CaseRules:
    """What calls for a case."""
    return CaseRules.from_settings(settings.case_low_score, settings.case_triggers, settings.case_desks)


def deadlines_of(settings: Settings) -> Deadlines:
    """How long first contact may take."""
    return Deadlines(WorkingHours.parse(settings.case_working_hours), timedelta(hours=settings.case_contact_hours))
