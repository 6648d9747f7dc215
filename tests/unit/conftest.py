"""What several modules of recipients' pages look at."""

import pytest

from services.survey.recipient.rendering import SurveyPages
from tests.recipient_pages import SITE


@pytest.fixture(scope="session")
def pages() -> SurveyPages:
    return SurveyPages(SITE)
