"""The pages that are about no delivery, put together."""

import time

from starlette.routing import Route

from services.chassis.settings import Settings
from services.survey.answers.handlers import Answers
from services.survey.recipient.links import CaughtUp, Links
from services.survey.recipient.page_models import Site
from services.survey.recipient.public_pages import PublicPages
from services.survey.recipient.rendering import SurveyPages
from services.survey.recipient.sent_check import SentCheck
from services.survey.recipient.unsubscribing import UnsubscribeRoutes


def public_routes(
    settings: Settings, answers: Answers, site: Site, notices: SurveyPages, caught_up: CaughtUp
) -> list[Route]:
    """`/r/{token}/unsubscribe` and `/sent`."""
    pages = PublicPages(site)
    unsubscribing = UnsubscribeRoutes(
        answers, Links(answers, caught_up), pages, notices, answers.metrics, settings.brand
    )
    sent = SentCheck(
        answers.pool,
        answers.seal,
        pages,
        answers.metrics,
        settings.public_url,
        settings.trusted_proxies,
        caught_up,
        time.monotonic,
    )
    return [*unsubscribing.routes(), *sent.routes()]
