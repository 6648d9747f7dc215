"""The demo page and the dashboard in a real browser: no complaint, and the numbers that the cells hold."""

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.kvittera import RunningDemo
from tests.visitors import Visitor

WIDE = {"width": 1440, "height": 900}
SCORES = """() => [...document.querySelectorAll("#scores [data-count]")].map((e) => Number(e.textContent))"""
FUNNEL = """() => [...document.querySelectorAll("#funnel tr:not([hidden])")]
    .map((e) => Number(e.children[1].textContent))"""
TERMINALS = """() => Object.fromEntries([...document.querySelectorAll("#terminals tbody tr")]
    .filter((row) => row.children.length > 2)
    .map((row) => [row.children[0].textContent.trim(), Number(row.children[1].textContent)]))"""

WHOLE_PHONES = """() => document.querySelector("#phones li:last-child .phone").getBoundingClientRect().bottom
    <= document.querySelector(".controls").getBoundingClientRect().top"""


async def cells(demo: RunningDemo, cut: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{demo.url}/api/cells?cut={cut}") as reply:
        found: list[dict[str, Any]] = (await reply.json())["cells"]
    return found


async def shows_what_is_counted(
    page: Page, demo: RunningDemo, script: str, cut: str, wanted_of: Callable[[list[dict[str, Any]]], object]
) -> None:
    """The page agrees with the cells; asked again, for answers may come in between, and none may be there at first."""
    wanted: object = None
    for _ in range(400):
        rows = await cells(demo, cut)
        wanted = wanted_of(rows) if rows else None
        found = await page.evaluate(script)
        if found == wanted:
            return
        await page.wait_for_timeout(200)
    assert found == wanted


def scores(rows: list[dict[str, Any]]) -> object:
    return rows[0]["scores"]


def answers(rows: list[dict[str, Any]]) -> object:
    return {row["value"]: row["answers"] for row in rows}


def funnel(rows: list[dict[str, Any]]) -> object:
    return [rows[0][name] for name in ("delivered", "asked", "opened", "answers", "commented")]


async def test_the_demo_page_shows_the_numbers_that_the_cells_hold(demo: RunningDemo, visitor: Visitor) -> None:
    page = await visitor.visit(demo.url, viewport=WIDE)

    await shows_what_is_counted(page, demo, SCORES, "total", scores)
    await shows_what_is_counted(page, demo, TERMINALS, "terminal", answers)
    await page.locator("#audit:not(.waiting)").wait_for(timeout=90_000)
    assert "0 lost · 0 double" in await page.locator("#audit strong").inner_text()
    assert await page.evaluate(WHOLE_PHONES)


async def test_a_phone_on_the_demo_page_opens_its_recipients_page(demo: RunningDemo, visitor: Visitor) -> None:
    page = await visitor.visit(demo.url, viewport=WIDE)
    phone = page.locator("#phones a.open").first
    await phone.wait_for()
    address = await phone.get_attribute("href")
    recipient = await visitor.visit(f"{demo.url}{address}")

    assert await recipient.locator("h1, h2").first.is_visible()


@pytest.mark.parametrize(
    ("button", "on", "off"),
    [("night", "Let it be night", "Let it be day"), ("strike", "Call a strike", "End the strike")],
)
async def test_night_and_strike_begin_and_end_at_a_press(
    demo: RunningDemo, visitor: Visitor, button: str, on: str, off: str
) -> None:
    page = await visitor.visit(demo.url, viewport=WIDE)
    await expect(page.locator(f"#{button}:not([disabled])")).to_have_text(on)

    await page.click(f"#{button}")
    await expect(page.locator(f"#{button}[aria-pressed=true]:not([disabled])")).to_have_text(off)
    await page.click(f"#{button}")
    await expect(page.locator(f"#{button}[aria-pressed=false]:not([disabled])")).to_have_text(on)


async def test_the_dark_phone_tells_rule_by_rule_why_its_owner_was_not_asked(
    demo: RunningDemo, visitor: Visitor
) -> None:
    page = await visitor.visit(demo.url, viewport=WIDE)
    silent = page.locator("#phones .phone.silent a.open")
    await silent.wait_for(timeout=90_000)  # most people are asked
    address = await silent.get_attribute("href")
    assert address is not None
    told = await (await page.request.get(f"{demo.url}{address}")).text()

    assert f"kvittera policy explain --delivery {address.rpartition('/')[2]}" in told
    # Where it was night a moment before, the phone is silent until the morning; a person may opt out between the two.
    why = (
        "The first rule that says no decides",
        "It waited for the end of the quiet hours",
        "The message was stopped before it left.",
    )
    assert any(reason in told for reason in why), told


async def test_the_dashboard_shows_the_numbers_that_the_cells_hold(demo: RunningDemo, visitor: Visitor) -> None:
    page = await visitor.visit(f"{demo.url}/live?span=all", viewport=WIDE)

    await shows_what_is_counted(page, demo, TERMINALS, "terminal", answers)
    await shows_what_is_counted(page, demo, FUNNEL, "total", funnel)


TOO_WIDE = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest(".scroll, [tabindex='0']"))
  .map((e) => `${e.tagName} ${e.id} ${e.className} ${Math.round(e.getBoundingClientRect().right)}`).slice(0, 20)"""
"""What reaches beyond the right edge, for a person who looks at a failure."""


async def settles(page: Page, holds: str) -> bool:
    """Whether it comes to hold: the plot measures itself only once it is drawn."""
    for _ in range(300):
        if await page.evaluate(holds):
            return True
        await page.wait_for_timeout(100)
    return False


@pytest.mark.parametrize("path", ["/", "/live"])
@pytest.mark.parametrize(
    "how",
    [{"color_scheme": "dark"}, {"reduced_motion": "reduce"}, {"viewport": {"width": 320, "height": 640}}],
    ids=["dark", "still", "narrow"],
)
async def test_the_pages_suit_other_screens_and_people(
    demo: RunningDemo, visitor: Visitor, path: str, how: dict[str, Any]
) -> None:
    page = await visitor.visit(demo.url + path, **{"viewport": WIDE, **how})
    await page.locator("#satisfied .lead:not(.none)").wait_for()

    assert await settles(page, "document.documentElement.scrollWidth <= innerWidth"), await page.evaluate(TOO_WIDE)
    if how.get("color_scheme") == "dark":
        colour: str = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")) < 70
    if "reduced_motion" in how:
        assert await page.evaluate("document.getAnimations().length") == 0
