"""What several modules look at, or break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from services.survey.recipient.http import SurveyRoutes
from tests.survey_app import survey


@pytest.fixture
def app(pool: Pool, settings: Settings) -> SurveyRoutes:
    """The recipient's pages on the module's tables; modules about other pages have an `app` of their own."""
    return survey(pool, settings)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of the test's own, to be killed and started again."""
    kafka = EmbeddedKafka(tmp_path, heap="256m")
    kafka.start()
    yield kafka
    kafka.stop()
