"""The pages of staff in a real browser: without barriers on any screen, and the inbox by keys and by two people."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from services.chassis.http import serve
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings
from services.embedded.ports import free_port
from services.survey.cases.wiring import case_parts
from services.survey.comments.texts import SealedTexts
from tests.caseload import ANNA, LENA, NOBODY, NOW, RIKARD, SEAL, app_of, fill, shared_of
from tests.chromium import leave
from tests.tables import empty_pool
from tests.visitors import Visitor, barriers, in_double_text

DESK: ViewportSize = {"width": 1440, "height": 900}
PHONES: tuple[ViewportSize, ...] = ({"width": 390, "height": 844}, {"width": 320, "height": 640})


class Desk:
    """The inbox of a day behind a real server, each visitor by name."""

    def __init__(self, chromium: Browser, url: str, numbers: list[str], at_exit: AsyncExitStack) -> None:
        self.visits = Visitor(chromium, at_exit)
        self.url = url
        self.numbers = numbers

    async def visit(self, member: str, path: str = "/cases") -> Page:
        """Open a page as a member of staff."""
        page = await self.visits.visit("about:blank", viewport=DESK, locale="en-GB")
        await page.context.add_cookies([{"name": "member", "value": member, "url": self.url}])
        await page.goto(self.url + path)
        return page


@pytest.fixture
async def desk(chromium: Browser, shared_settings: Settings) -> AsyncIterator[Desk]:
    started, metrics, port, stop = time.monotonic(), Metrics(), free_port(), asyncio.Event()

    def later() -> datetime:
        return NOW + timedelta(seconds=time.monotonic() - started)

    async with empty_pool(shared_settings, "survey") as pool, AsyncExitStack() as at_exit:
        numbers = await fill(pool, shared_settings)
        parts = case_parts(shared_of(pool, shared_settings, metrics, later), SealedTexts(SEAL))
        work = asyncio.gather(serve(app_of(parts, metrics), "127.0.0.1", port, stop), parts.watch(stop))
        visits = Desk(chromium, f"http://127.0.0.1:{port}", numbers, at_exit)
        yield visits
        await at_exit.aclose()
        stop.set()
        await work
        assert visits.visits.complaints == []


async def test_the_inbox_is_worked_by_keys_alone_and_they_rest_while_somebody_types(desk: Desk) -> None:
    page = await desk.visit(ANNA.subject)
    title, order = (
        page.locator("#case-title"),
        await page.locator("#rows li").evaluate_all("(rows) => rows.map((row) => row.dataset.number)"),
    )
    await expect(title).to_have_text(order[0])
    await page.keyboard.press("j")
    await expect(title).to_have_text(order[1])
    await page.keyboard.press("k")
    await expect(title).to_have_text(order[0])
    await page.keyboard.press("a")
    await expect(page.locator(".detail .state")).to_have_text("Open, yours")

    await page.keyboard.press("/")
    await page.keyboard.type("jkacr?")
    await expect(page.locator("#find")).to_have_value("jkacr?")
    await expect(title).to_have_text(order[0])
    assert not await page.locator("#help").is_visible()
    await page.locator("#find").evaluate("(field) => field.blur()")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await barriers(page) == []
    await page.keyboard.press("Escape")

    await page.keyboard.press("c")
    await expect(page.locator(".detail .state")).to_contain_text("Contacted")
    await page.get_by_label("Late, Ours").check()
    await page.locator("#place").select_option("terminal")
    await page.locator("#place").evaluate("(field) => field.blur()")
    await page.keyboard.press("r")
    await expect(page.locator(".detail .state")).to_contain_text("Resolved")


async def test_keys_that_were_switched_off_do_nothing(desk: Desk) -> None:
    page = await desk.visit(ANNA.subject)
    title = await page.locator("#case-title").inner_text()
    await page.locator("#keys [data-key='?']").click()
    await page.locator("#keys-on").uncheck()
    await page.get_by_role("button", name="Close").click()
    await page.keyboard.press("j")
    await page.keyboard.press("a")
    await page.reload()
    await page.keyboard.press("a")
    assert await page.locator("#case-title").inner_text() == title
    assert await page.locator(".detail .state").inner_text() == "Open, nobody's"


async def test_what_a_colleague_does_shows_by_itself_and_cannot_be_overwritten(desk: Desk) -> None:
    number = desk.numbers[1]
    mine = await desk.visit(ANNA.subject, f"/cases?case={number}")
    await mine.locator("#note").fill("Ringde 16:32, inget svar.")
    theirs = await desk.visit(LENA.subject, f"/cases?case={number}")
    await theirs.locator("#work button[value=contact]").click()
    await expect(theirs.locator(".detail .state")).to_contain_text("Contacted")

    await expect(mine.locator("#changed")).to_be_visible()
    await expect(mine.locator(f"#rows li[data-number={number}]")).to_have_count(0)
    await expect(mine.locator("#tabs [aria-current] .tab-count")).to_have_text(
        str(await mine.locator("#rows li").count())
    )
    await mine.locator("#work button[value=contact]").click()
    await expect(mine.get_by_role("alert")).to_contain_text("nothing was saved")
    await expect(mine.locator("#note")).to_have_value("Ringde 16:32, inget svar.")
    assert await barriers(mine) == []
    # Chromium itself says on its console that the page came with 412.
    assert [words for words in desk.visits.complaints if "412" not in words] == []
    desk.visits.complaints.clear()


async def test_a_lead_gives_several_cases_away_at_once(desk: Desk) -> None:
    anna = await desk.visit(ANNA.subject, f"/cases?case={desk.numbers[1]}")
    await anna.keyboard.press("a")
    await expect(anna.locator(".detail .state")).to_have_text("Open, yours")
    page = await desk.visit(LENA.subject)
    for number in (desk.numbers[0], desk.numbers[2]):
        await page.locator(f"input[name=case][value^='{number}:']").check()
    await page.locator("#bulk-owner").select_option(label=ANNA.name)
    await page.locator("#bulk button").click()
    await page.wait_for_url("**/cases")
    await anna.goto(f"{desk.url}/cases?tab=mine")
    await expect(anna.locator("#rows li")).to_have_count(3)


async def test_the_inbox_has_no_barrier_in_any_state_on_any_screen(desk: Desk) -> None:
    states = {
        "case": (ANNA, f"/cases?case={desk.numbers[1]}"),
        "list": (LENA, "/cases"),
        "reader": (RIKARD, "/cases"),
        "empty": (ANNA, "/cases?q=finns-inte"),
        "no such case": (ANNA, "/cases?case=K-0000-0"),
        "no permission": (NOBODY, "/cases"),
    }
    found: dict[str, list[str]] = {}
    for state, (member, path) in states.items():
        page = await desk.visit(member.subject, path)
        found |= {f"{state}, {look}": wrong for look, wrong in (await in_every_look(page)).items()}
        await leave(page.context.close)

    assert {state: wrong for state, wrong in found.items() if wrong} == {}
    assert [words for words in desk.visits.complaints if "403" not in words and "404" not in words] == []
    desk.visits.complaints.clear()


async def test_on_a_desk_no_tab_is_cut_and_the_steps_stand_in_the_first_screen(desk: Desk) -> None:
    page = await desk.visit(LENA.subject, f"/cases?case={desk.numbers[1]}")
    inside = "(part) => { const b = part.getBoundingClientRect(); return b.right <= 468 && b.bottom <= 900; }"
    tabs = page.locator("#tabs a, .filters :is(input[type=search], select, button)")
    assert [await tab.inner_text() for tab in await page.locator("#tabs a").all()][3:] == [
        "Praise to pass on 0",
        "Resolved",
        "All",
        "CSV",
    ]
    assert [await tab.evaluate(inside) for tab in await tabs.all()] == [True] * 11
    for step in ("contact", "resolve"):
        await expect(page.locator(f"#work button[value={step}]")).to_be_in_viewport(ratio=1)


async def in_every_look(page: Page) -> dict[str, list[str]]:
    """What stands in the way on a large screen, in the dark, beside small screens, and in text twice as large."""
    found = {"wide": await barriers(page)}
    await page.emulate_media(color_scheme="dark")
    found["dark"] = await barriers(page, "color-contrast")
    await page.emulate_media(color_scheme="light")
    for screen in PHONES:
        await page.set_viewport_size(screen)
        found[f"{screen['width']} px"] = await barriers(page, "target-size")
    found["200 %"] = await in_double_text(page)
    await page.set_viewport_size(DESK)
    return found
