"""The pages that are about no delivery, put together."""

import time
from collections.abc import Callable

from starlette.routing import Route

from services.chassis.settings import Settings
from services.survey.answers.handlers import Answers
from services.survey.recipient.page_models import Site
from services.survey.recipient.public_pages import PublicPages
from services.survey.recipient.rendering import SurveyPages
from services.survey.recipient.sent_check import SentCheck
from services.survey.recipient.unsubscribing import UnsubscribeRoutes


def public_routes(
    settings: Settings, answers: Answers, site: Site, notices: SurveyPages, caught_up: Callable[[], bool]
) -> list[Route]:
    """`/r/{token}/unsubscribe` and `/sent`."""
    pages = PublicPages(site)
    unsubscribing = UnsubscribeRoutes(answers, pages, notices, answers.metrics, caught_up, settings.brand)
    sent = SentCheck(
        answers.pool,
        answers.seal,
        pages,
        answers.metrics,
        settings.public_url,
        settings.trusted_proxies,
        time.monotonic,
    )
    return [*unsubscribing.routes(), *sent.routes()]
