"""Draws the pictures of the documents from the pages as they are: `make pictures`. Needs Chromium and no server."""

import asyncio
import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, Route, ViewportSize

from schemas.feedback import CaseTrigger
from schemas.response import RatedParty, ResponseRecorded
from services.chassis.settings import Settings
from services.chassis.web.files import page_files
from services.survey.cases import inbox
from services.survey.cases.case import Case, opened
from services.survey.cases.detail import detail_of
from services.survey.cases.filters import Filters
from services.survey.cases.page import HEADERS, PAGES, InboxPage
from services.survey.cases.rules import CaseRules
from services.survey.cases.shown import Line, Listed, Standing, Tabs
from services.survey.cases.wiring import deadlines_of, rules_of
from services.survey.praise.board_page import BoardPage
from services.survey.recipient.rendering import SurveyPages
from tests.boards import SHOWN
from tests.builders import facts
from tests.caseload import CASELOAD, LENA, NOW, Told
from tests.chromium import leave, running_chromium
from tests.recipient_pages import QUESTION, SITE

IMAGES = Path(__file__).parent.parent / "docs" / "images"
ORIGIN = "https://svar.nordposten.example"
SETTINGS = Settings()
_CHOSEN = 1


@dataclass(frozen=True)
class Picture:
    """A page and the screen that it is drawn on; `scale` is the picture's size beside the screen's."""

    body: bytes
    headers: Mapping[str, str]
    screen: ViewportSize
    scale: float = 1.0


def recipient() -> Picture:
    """The question, as a phone shows it."""
    pages = SurveyPages(replace(SITE, demo=True))
    return Picture(
        pages.render_question(replace(QUESTION, language="en")), pages.headers, {"width": 390, "height": 844}
    )


def whiteboard() -> Picture:
    """A terminal's whiteboard on a television."""
    page = BoardPage(7)
    return Picture(page.render(SHOWN), page.headers, {"width": 1920, "height": 1080}, 0.5)


def cases() -> Picture:
    """The inbox of a lead with a day's cases."""
    looking = inbox.Looking(LENA, Filters(), deadlines_of(SETTINGS), NOW)
    rules = rules_of(SETTINGS)
    listed = [_listed(n, told, rules, looking) for n, told in enumerate(CASELOAD[:8], 1)]
    listed.sort(key=lambda one: one.case.due_at or NOW)
    chosen = next(one for one in listed if one.case.serial == _CHOSEN + 1)
    told = CASELOAD[_CHOSEN]
    answered = NOW - timedelta(hours=told.hours)
    lines = [
        Line("answered", None, answered, "2", None),
        Line("opened", None, answered, "low_score, wants_contact", None),
    ]
    detail = detail_of(
        chosen,
        lines,
        looking,
        same_day=None,
        standing=Standing(RatedParty.CARRIER),
        sends="Send these words to the person by e-mail",
    )
    body = InboxPage.load(scope_note="Nordposten Demo, demo data").inbox(
        looking,
        [inbox.row_of(one, chosen.case.number, looking) for one in listed],
        detail,
        tabs=Tabs(len(listed), 0, 0, 2),
        desks=["Malmö", "Segeltorp", "Växjö", "Årsta"],
        owners={LENA.subject: LENA.name},
        form_secret="",
        explicit=True,
    )
    return Picture(body, HEADERS, {"width": 1440, "height": 1000}, 0.8)


def _listed(serial: int, told: Told, rules: CaseRules, looking: inbox.Looking) -> Listed:
    at = NOW - timedelta(hours=told.hours)
    delivery = facts(
        **{"delivery_id": f"D-{serial}", "occurred_at": NOW - timedelta(hours=22, minutes=49), **told.delivery}
    )
    said: dict[str, Any] = {"score": told.score, "answered_at": at, "recorded_at": at, "delivery": delivery}
    answer = ResponseRecorded.model_validate(
        {"response_id": str(uuid.UUID(int=serial)), "revision": 1, **said, **told.answer}
    )
    because: tuple[CaseTrigger, ...] = rules.triggers_of(answer)
    due = looking.deadlines.due(at, delivery.zone, delivery.country)
    case: Case = opened(answer, because, desk=rules.desk_of(delivery), due_at=due, now=at, traceparent=None)
    return Listed(replace(case, serial=serial), told.comment)


async def draw(browser: Browser, picture: Picture) -> Image.Image:
    """The page as it looks once it is at rest."""
    files = page_files(PAGES)

    async def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if "/assets/" in route.request.url:
            await route.fulfill(body=files[name].body, content_type=files[name].content_type)
        elif route.request.url.endswith("/page"):
            await route.fulfill(
                body=picture.body, headers={**picture.headers, "content-type": "text/html; charset=utf-8"}
            )
        else:
            await route.fulfill(status=204)

    context = await browser.new_context(viewport=picture.screen, reduced_motion="reduce")
    try:
        await context.route("**/*", answer)
        page = await context.new_page()
        await page.goto(f"{ORIGIN}/page")
        drawn = Image.open(io.BytesIO(await page.screenshot()))
    finally:
        await leave(context.close)
    size = (round(drawn.width * picture.scale), round(drawn.height * picture.scale))
    return drawn.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(128)


DRAWN = {"recipient.png": recipient, "cases.png": cases, "whiteboard.png": whiteboard}


async def main() -> None:
    """Draw every picture anew."""
    async with running_chromium() as browser:
        for name, picture in DRAWN.items():
            (await draw(browser, picture())).save(IMAGES / name, optimize=True)
            print(f"docs/images/{name}")


if __name__ == "__main__":
    asyncio.run(main())
