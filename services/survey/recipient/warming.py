"""What a first time costs, paid before anybody waits for it: pages shown to nobody, a look at no link."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from services.survey.answers.recorded import Page
from services.survey.languages import LANGUAGES
from services.survey.recipient.views import Views

_TOKEN = "0" * 22
_SCORES = (2, 4)  # one that asks what went wrong, one that asks what was good


def warm_up(views: Views, now: datetime) -> None:
    """Show the question in each language and what follows a tap.

    The first page otherwise compiles its templates, and the first of each language reads how it names days, while all
    that come meanwhile wait.
    """
    for page in _pages(now):
        views.show(page, _TOKEN, page.language or "", {})


def _pages(now: datetime) -> Iterator[Page]:
    for language in LANGUAGES:
        yield _page(now, language)
    for score in _SCORES:
        yield _page(now, next(iter(LANGUAGES)), score)


def _page(now: datetime, language: str, score: int | None = None) -> Page:
    return Page(
        invitation_id=uuid.UUID(int=0),
        open=True,
        named=False,
        now=now,
        expires_at=now + timedelta(days=1),
        language=language,
        brand=None,
        survey="home.v1",
        rated="delivery",
        delivery={
            "method": "home_day",
            "occurred_at": (now - timedelta(days=2)).isoformat(),
            "zone": "Europe/Stockholm",
        },
        revision=None if score is None else 1,
        score=score,
        reasons=(),
        follow_ups={},
        commented=False,
        contested=False,
        wants_contact=False,
        preference=None,
    )
