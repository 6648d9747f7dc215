"""What several modules of pages look at."""

import pytest

from services.aggregator.quality.figures import Quality
from services.survey.recipient.rendering import SurveyPages
from tests.months import SEPTEMBER, quality_in, two_years
from tests.recipient_pages import SITE


@pytest.fixture(scope="session")
def pages() -> SurveyPages:
    return SurveyPages(SITE)


@pytest.fixture(scope="session")
def quality() -> Quality:
    """September 2026 after two years of closed months."""
    return quality_in(SEPTEMBER, two_years())
