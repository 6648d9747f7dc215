"""Cases put together from the settings, for the survey's composition root."""

from datetime import UTC, datetime, timedelta

from services.chassis.settings import Settings
from services.survey.cases.clock import WorkingHours
from services.survey.cases.opening import Deadlines, OpenCases
from services.survey.cases.rules import CaseRules


def open_cases(settings: Settings) -> OpenCases:
    """Return the reaction that keeps cases, by the rules in the settings.

    Raises:
        MustStop: a setting does not fit.
    """
    return OpenCases(rules_of(settings), deadlines_of(settings), lambda: datetime.now(UTC))


def rules_of(settings: Settings) -> CaseRules:
    """Return what calls for a case."""
    return CaseRules.from_settings(settings.case_low_score, settings.case_triggers, settings.case_desks)


def deadlines_of(settings: Settings) -> Deadlines:
    """Return how long first contact may take."""
    return Deadlines(WorkingHours.parse(settings.case_working_hours), timedelta(hours=settings.case_contact_hours))
