"""The pages that are about no delivery, in a real browser: no barriers, no script, nothing too wide."""

from collections.abc import AsyncIterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, Route

from services.survey.recipient.public_pages import PublicPages, SentState
from tests.chromium import leave
from tests.recipient_pages import SITE

PAGES = PublicPages(SITE)
TOO_WIDE = "document.documentElement.scrollWidth > innerWidth"


def shown(language: str) -> dict[str, bytes]:
    pages = {s.value: PAGES.render_sent(language, s, host="svar.nordposten.example") for s in SentState}
    for done in (False, True):
        name = "unsubscribed" if done else "unsubscribe"
        pages[name] = PAGES.render_unsubscribe(language, brand="Nordposten Demo", done=done)
    return pages


@pytest.fixture(scope="module")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    context = await chromium.new_context(viewport={"width": 320, "height": 640}, reduced_motion="reduce")
    yield await context.new_page()
    await leave(context.close)


async def violations(page: Page) -> list[str]:
    await page.evaluate(AXE_SCRIPT)
    found = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [f"{v['id']}: {n['html'][:120]}" for v in found["violations"] for n in v["nodes"]]


async def test_axe_finds_nothing_on_any_public_page_and_each_fits_the_smallest_phone(page: Page) -> None:
    found: dict[tuple[str, str], list[str]] = {}
    complaints: list[str] = []
    bodies = {f"/{language}/{name}": body for language in ("fi", "de") for name, body in shown(language).items()}

    async def serve(route: Route) -> None:
        path = route.request.url.removeprefix("https://svar.nordposten.example")
        await route.fulfill(body=bodies[path], headers={**PAGES.headers, "Content-Type": "text/html; charset=utf-8"})

    page.on("console", lambda message: complaints.append(message.text))
    await page.route("**/*", serve)
    for path in bodies:
        for scheme in ("light", "dark") if path.startswith("/de/") else ("light",):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.goto(f"https://svar.nordposten.example{path}")
            wide = ["too wide"] if await page.evaluate(TOO_WIDE) else []
            found[path, scheme] = wide + await violations(page)

    assert {key: wrong for key, wrong in found.items() if wrong} == {}
    assert complaints == []
