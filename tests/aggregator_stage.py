"""The aggregator's pages in a real browser at one fixed moment, without the system behind them."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, ViewportSize

from services.aggregator.live.page import render_live
from services.aggregator.quality.page import headers as quality_headers
from services.aggregator.staff.page import HEADERS
from services.aggregator.staff.page import PAGES as FILES
from services.chassis.web.files import page_files
from tests.chromium import leave
from tests.live_pictures import ALERTS, COMMENTS, PAGES, events

ORIGIN = "https://staff.nordposten.example"
WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


class Stage:
    """Serves the pages with their own headers, and notes what was asked for and complained about."""

    def __init__(self) -> None:
        self.files = page_files(FILES, figures=True)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.comments = list(COMMENTS)
        self.worst = ""
        self.age = 0.2
        self.behind = 0
        self.answers = 9334
        self.away = False
        self.unreached: set[str] = set()
        self.alerts = ALERTS
        self.begun = True

    async def is_asked(self, path: str) -> None:
        """Wait until a page asks for something."""
        async with asyncio.timeout(90):
            while not any(asked == path or asked.startswith(f"{path}?") for asked in self.asked):
                await asyncio.sleep(0.02)

    def fragment(self) -> str:
        """The newest comments as the survey service writes them."""
        return f'<ol class="comments">{"".join(self.comments)}</ol>'

    async def serve(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        path, query = unquote(url.path), parse_qs(url.query)
        self.asked.append(f"{path}?{url.query}" if url.query else path)
        if path == "/live/events" and self.away:
            await route.abort()
        elif path == "/live/events":
            told = events(
                query.get("row", [""])[0],
                self.worst,
                age=self.age,
                behind=self.behind,
                answers=self.answers,
                unreached=self.unreached,
                alerts=self.alerts,
                begun=self.begun,
            )
            await route.fulfill(body=told, headers={"content-type": "text/event-stream"})
        elif path in {"/comments/latest", "/praise/mine"}:
            await route.fulfill(
                body=self.fragment(),
                headers={"content-type": "text/html; charset=utf-8"},
            )
        elif path.startswith("/live/assets/"):
            file = self.files[path.removeprefix("/live/assets/")]
            await route.fulfill(body=file.body, headers={"content-type": file.content_type})
        else:
            own = quality_headers() if path.startswith("/quality") else HEADERS
            page = render_live(compare=query.get("compare") != ["none"]) if path == "/live" else PAGES[path]()
            await route.fulfill(body=page, headers={**own, "content-type": "text/html; charset=utf-8"})


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="module")
async def context(chromium: Browser, stage: Stage) -> AsyncIterator[BrowserContext]:
    opened = await chromium.new_context(viewport=WIDE, reduced_motion="reduce", locale="en-GB")
    opened.set_default_timeout(15_000)
    await opened.route("**/*", stage.serve)
    yield opened
    await leave(opened.close)


@pytest.fixture
async def page(context: BrowserContext, stage: Stage) -> AsyncIterator[Page]:
    stage.asked.clear()
    stage.complaints.clear()
    stage.age, stage.behind, stage.answers, stage.away = 0.2, 0, 9334, False
    stage.unreached, stage.alerts, stage.begun = set(), ALERTS, True
    opened = await context.new_page()
    opened.on("console", lambda m: stage.complaints.append(m.text) if m.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: stage.complaints.append(str(error)))
    yield opened
    await leave(opened.close)
    assert stage.complaints == []


async def show(page: Page, path: str) -> None:
    await page.goto(ORIGIN + path)
    if path in {"/drivers/me", "/terminals/Arsta"}:
        await page.locator("#comments .comments").wait_for()
    if path.startswith("/live"):
        await page.locator("#satisfied .lead:not(.none)").wait_for()
        await page.locator("#comments .comments").wait_for()
        await page.locator("#terminals .spark .dot").first.wait_for()
        await page.locator("nav .count").wait_for()
        await page.get_by_text("as of").first.wait_for()
