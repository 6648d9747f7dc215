"""What several modules of recipients' pages look at."""

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.recipient.http import SurveyRoutes
from tests.survey_app import survey


@pytest.fixture
def app(pool: Pool, settings: Settings) -> SurveyRoutes:
    """The recipient's pages on the module's tables; modules about other pages have an `app` of their own."""
    return survey(pool, settings)
