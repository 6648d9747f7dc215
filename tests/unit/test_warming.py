"""What is made at first use is made before anybody waits for it."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jinja2
import pytest

from services.chassis.sealing import Seal
from services.survey.answers.recorded import Page
from services.survey.definition_files import load_definitions
from services.survey.languages import LANGUAGES
from services.survey.recipient.rendering import SurveyPages
from services.survey.recipient.views import Views
from services.survey.recipient.warming import warm_up
from tests.benchmarks.invitations import DELIVERY
from tests.recipient_pages import SITE

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def look(language: str, score: int | None) -> Page:
    return Page(
        invitation_id=uuid.UUID(int=7),
        open=True,
        named=True,
        now=NOW,
        expires_at=NOW + timedelta(days=1),
        language=language,
        brand="Nordposten Demo",
        survey="home.v1",
        rated="delivery",
        delivery=json.loads(DELIVERY),
        revision=None if score is None else 1,
        score=score,
        reasons=(),
        follow_ups={},
        commented=False,
        contested=False,
        wants_contact=False,
        preference=None,
    )


def test_after_the_warming_no_template_is_compiled_for_the_question_or_the_page_after_the_tap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = Views(SurveyPages(SITE), load_definitions(), Seal(b"k" * 32), "Nordposten Demo")
    warm_up(views, NOW)
    compiled = list[str]()
    compile_as_before = jinja2.Environment.compile

    def compile_and_tell(
        self: jinja2.Environment, source: Any, name: str | None = None, *more: Any, **named: Any
    ) -> Any:
        compiled.append(str(name))
        return compile_as_before(self, source, name, *more, **named)

    monkeypatch.setattr(jinja2.Environment, "compile", compile_and_tell)
    shown = [views.show(look(language, score), "A" * 22, language, {}) for language in LANGUAGES for score in (None, 4)]
    assert [state for state, _ in shown] == ["question", "saved"] * 7
    assert compiled == []
    assert all("Fjällbod" in page.decode() for _, page in shown[:1])
