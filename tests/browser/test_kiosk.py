"""The kiosk's page in a real browser: a tap is an answer, the page is as new after it, and the key stays inside."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Route, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.api.keys import Scope
from services.survey.recipient.kiosk_page import KioskPage
from tests.asgi import ask
from tests.chromium import leave
from tests.programs import TORGET, Clock, application, new_key

pytestmark = pytest.mark.service("survey")

SITE = "https://svar.example"
DEBOUNCE = timedelta(seconds=1.5)


@pytest.fixture
async def tablet(chromium: Browser, pool: Pool, settings: Settings) -> AsyncIterator[tuple[Page, list[str], list[int]]]:
    """A tablet whose requests go into the application; the addresses it asked for; statuses to answer with first."""
    api = application(pool, settings.model_copy(update={"kiosk_debounce_seconds": DEBOUNCE.total_seconds()}), Clock())
    app = Starlette(routes=[KioskPage("Nordposten Demo", DEBOUNCE).route(), Mount("/", api)])
    asked: list[str] = []
    failures: list[int] = []

    async def answer(route: Route) -> None:
        request = route.request
        asked.append(request.url)
        if failures and request.method == "POST":
            await route.fulfill(status=failures.pop(0))
            return
        headers = list((await request.all_headers()).items())
        path = request.url.removeprefix(SITE)
        reply = await ask(app, request.method, path, headers=headers, parts=[request.post_data_buffer or b""])
        await route.fulfill(status=reply.status, headers=reply.headers, body=reply.body)

    page = await chromium.new_page(viewport={"width": 1024, "height": 768})
    await page.route("**/*", answer)
    yield page, asked, failures
    await leave(page.close)


async def scores(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT value FROM outbox ORDER BY id")
    return [json.loads(r["value"])["score"] for r in rows]


async def test_a_finger_and_a_key_each_give_an_answer_and_the_page_is_as_new(
    tablet: tuple[Page, list[str], list[int]], pool: Pool
) -> None:
    page, asked, failures = tablet
    key = await new_key(pool, Scope.KIOSK, place=TORGET)
    await page.goto(f"{SITE}/kiosk?lang=sv#{key.text}")
    assert page.url == f"{SITE}/kiosk?lang=sv"
    await page.goto(f"{SITE}/kiosk?lang=sv")  # the key is kept
    await page.get_by_role("button", name="Mycket nöjd").click()
    await expect(page.get_by_role("status")).to_have_text("Tack. Ditt svar är sparat.")
    await expect(page.get_by_role("status")).to_have_text("")
    assert await page.locator(".chosen").count() == 0
    failures.append(503)  # the same tap goes again by itself
    await page.keyboard.press("1")
    await expect(page.get_by_role("status")).to_have_text("Tack. Ditt svar är sparat.")
    assert await scores(pool) == [5, 1]
    assert not [url for url in asked if key.secret in url]


async def test_the_last_face_of_a_person_is_the_answer_also_where_the_first_could_not_be_sent_at_once(
    tablet: tuple[Page, list[str], list[int]], pool: Pool
) -> None:
    page, _, failures = tablet
    key = await new_key(pool, Scope.KIOSK, place=TORGET)
    await page.goto(f"{SITE}/kiosk?lang=sv#{key.text}")
    failures.append(503)
    await page.keyboard.press("1")
    await page.keyboard.press("5")
    await expect(page.get_by_role("status")).to_have_text("Tack. Ditt svar är sparat.")
    await page.wait_for_timeout(2500)  # the first face would be tried again after two seconds
    assert await scores(pool) == [5]


async def test_the_face_of_a_person_that_is_sent_late_stays_apart_from_the_next_persons(
    tablet: tuple[Page, list[str], list[int]], pool: Pool
) -> None:
    page, _, failures = tablet
    key = await new_key(pool, Scope.KIOSK, place=TORGET)
    await page.goto(f"{SITE}/kiosk?lang=sv#{key.text}")
    failures.append(503)
    await page.keyboard.press("1")
    await page.wait_for_timeout(1600)
    await page.keyboard.press("4")
    await page.keyboard.press("5")
    await expect(page.get_by_role("status")).to_have_text("Tack. Ditt svar är sparat.")
    await page.wait_for_timeout(2500)
    assert await scores(pool) == [1, 5]
    assert await pool.fetchval("SELECT count(DISTINCT response_id) FROM kiosk_response") == 2


async def test_one_person_who_taps_while_the_network_is_slow_is_one(
    tablet: tuple[Page, list[str], list[int]], pool: Pool
) -> None:
    page, _, _ = tablet
    key = await new_key(pool, Scope.KIOSK, place=TORGET)
    await page.goto(f"{SITE}/kiosk?lang=sv#{key.text}")

    async def slowly(route: Route) -> None:
        await asyncio.sleep(3)
        await route.fallback()

    await page.route("**/responses", slowly)
    for face in "234":  # the second waits for the first, and gives way to the third: what is sent is 2.4 s apart
        await page.keyboard.press(face)
        await page.wait_for_timeout(1200)
    await expect(page.get_by_role("status")).to_have_text("Tack. Ditt svar är sparat.", timeout=9000)
    assert await scores(pool) == [2, 4]
    assert await pool.fetchval("SELECT count(DISTINCT response_id) FROM kiosk_response") == 1


async def test_without_a_valid_key_nothing_is_said_to_be_saved(
    tablet: tuple[Page, list[str], list[int]], pool: Pool
) -> None:
    page, _, _ = tablet
    await page.goto(f"{SITE}/kiosk?lang=sv")
    await page.get_by_role("button", name="Nöjd", exact=True).click()
    await expect(page.get_by_role("status")).to_have_text("Svaret är inte sparat än.")
    assert await scores(pool) == []


async def test_the_page_has_no_barrier_and_does_not_scroll(tablet: tuple[Page, list[str], list[int]]) -> None:
    page, _, _ = tablet
    for width, height in ((1024, 768), (768, 1024)):
        await page.set_viewport_size({"width": width, "height": height})
        await page.goto(f"{SITE}/kiosk?lang=de")
        found = await Axe().run(page)
        assert [v["id"] for v in found.response["violations"]] == []
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")
