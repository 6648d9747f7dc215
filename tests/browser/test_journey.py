"""The whole way: from the SMS in the demo to the case that staff resolve and to the praise on the wall."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urljoin

import asyncpg
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from services.survey.cases.number import serial_of
from services.survey.recipient.suspicion import QUICKEST_HUMAN
from tests.browser.conftest import LANGUAGES, TRAVELLERS
from tests.kvittera import RunningDemo, kvittera
from tests.visitors import Visitor

PHONES = list(TRAVELLERS)
DESK = {"width": 1440, "height": 900}
QUESTIONS = {
    "sv": "Hur gick leveransen?",
    "nb": "Hvordan gikk leveringen?",
    "da": "Hvordan gik leveringen?",
    "fi": "Miten toimitus sujui?",
    "en": "How did the delivery go?",
    "de": "Wie lief die Zustellung?",
}
COMPLAINTS = {
    "sv": "Kom två timmar för sent.",
    "nb": "Kom to timer for sent.",
    "da": "Kom to timer for sent i dag.",
    "fi": "Tuli kaksi tuntia myöhässä.",
    "en": "It came two hours late.",
    "de": "Kam zwei Stunden zu spät.",
}
_COUNTED_APART = (
    "SELECT a.series IS NOT NULL FROM aggregator.answer AS a"
    " JOIN survey.feedback_case AS c ON c.response_id = a.response_id::text WHERE c.serial = $1"
)
WISH = {"name": "Elin Sandahl", "address": "070-174 06 12"}


@pytest.fixture(scope="module")
async def staff(demo: RunningDemo, chromium: Browser) -> AsyncIterator[dict[str, Page]]:
    """An agent and a lead, each signed in through the demo's account from the page they wanted."""
    async with AsyncExitStack() as at_exit:
        visits = Visitor(chromium, at_exit)
        pages = {}
        for role, wanted in (("agent", "/cases"), ("lead", "/praise")):
            page = pages[role] = await visits.visit(demo.url + wanted, viewport=DESK, locale="en-GB")
            await page.locator(f"input[value={role}]").check()
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(f"**{wanted}")
        yield pages
        assert visits.complaints == []


async def tap(page: Page, score: int, *, scripts: bool) -> None:
    """Choose a face; without script a button sends it, no sooner than a person could."""
    await page.locator(f"label[for=score{score}]").click()
    if not scripts:
        await page.wait_for_timeout(QUICKEST_HUMAN * 1000)
        await page.locator("button.send").click()
    await page.locator("#comment").wait_for()


async def case_number(page: Page) -> str:
    """The number on the page after sending; the case opens a moment after the tap."""
    number = page.locator(".whole")
    for _ in range(600):
        if await number.count():
            return await number.inner_text()
        await page.wait_for_timeout(100)
        await page.reload()
    raise AssertionError("no case opened")


@pytest.mark.parametrize("scripts", [True, False], ids=["with script", "without script"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_complaint_goes_from_the_sms_to_a_resolved_case(
    language: str, scripts: bool, messages: dict[str, dict[str, Any]], staff: dict[str, Page], visitor: Visitor
) -> None:
    sms = messages[PHONES[LANGUAGES.index(language) + (0 if scripts else len(LANGUAGES))]]
    assert (sms["channel"], sms["link"] in sms["body"]) == ("sms", True)

    page = await visitor.visit(sms["link"], java_script_enabled=scripts, locale="en-GB")
    assert await page.locator("html").get_attribute("lang") == language
    assert await page.locator("h1").inner_text() == QUESTIONS[language]
    await tap(page, 2, scripts=scripts)
    await page.locator(".chips label").first.click()
    await page.locator("summary").click()
    await page.locator('label:has(input[name="q.courtesy"][value="2"])').click()
    await page.locator("#comment").fill(COMPLAINTS[language])
    await page.locator("#wants-contact").check()
    await page.locator("#contact-name").fill(WISH["name"])
    await page.locator("#contact-address").fill(WISH["address"])
    await page.locator("form:has(#comment) button.primary").click()
    await page.wait_for_url("**done=1*")
    assert await page.locator("html").get_attribute("lang") == language
    number = await case_number(page)

    await resolve(staff["agent"], number, COMPLAINTS[language], language)


async def resolve(inbox: Page, number: str, comment: str, language: str) -> None:
    """What an agent does with a case: find, read, call, resolve."""
    await inbox.locator("#find").fill(number)
    await inbox.locator("#find").press("Enter")
    await inbox.locator(f"#rows li[data-number={number}] a").click()
    await expect(inbox.locator("#case-title")).to_have_text(number)
    await expect(inbox.locator(".detail .big span")).to_have_text(f"”{comment}”")
    await expect(inbox.locator(".detail .big span")).to_have_attribute("lang", language)
    await inbox.get_by_role("button", name="Show contact details").click()
    await expect(inbox.locator(".person")).to_have_text(re.compile(f"{WISH['name']}.*{WISH['address']}"))
    await inbox.locator("#note").fill("Called, explained the stop in the sorting.")
    await inbox.locator("#work button[value=contact]").click()
    await expect(inbox.locator(".detail .state")).to_contain_text("Contacted")
    await inbox.get_by_label("Late, Ours").check()
    await inbox.locator("#place").select_option(index=1)
    await inbox.locator("#work button[value=resolve]").click()
    await expect(inbox.locator(".detail .state")).to_contain_text("Resolved")
    await expect(inbox.locator(".notice[role=alert]")).to_have_count(0)


@pytest.mark.parametrize(
    ("phone", "scripts", "words"),
    [
        (PHONES[-2], True, "Bar in kartongen hela vägen till köket."),
        (PHONES[-1], False, "Bar upp soffan i tre trappor och log."),
    ],
    ids=["with script", "without script"],
)
async def test_praise_goes_from_the_sms_to_the_wall(
    phone: str,
    scripts: bool,
    words: str,
    demo: RunningDemo,
    messages: dict[str, dict[str, Any]],
    staff: dict[str, Page],
    visitor: Visitor,
) -> None:
    page = await visitor.visit(messages[phone]["link"], java_script_enabled=scripts)
    await tap(page, 5, scripts=scripts)
    await page.locator("#comment").fill(words)
    await page.locator("form:has(#comment) button.primary").click()
    await page.wait_for_url("**done=1*")

    queue = staff["lead"]
    row = queue.locator(".list a", has_text=words)
    await _turn_pages_until(queue, f"{demo.url}/praise", row)
    await row.click()
    await queue.get_by_role("button", name="Passed on").click()
    await queue.get_by_role("link", name="Passed on", exact=True).click()
    await row.click()
    await queue.get_by_role("button", name="Put on the board").click()

    made = kvittera(demo.folder, "boards", "add", "Årsta")
    assert made.returncode == 0, made.stderr
    address = made.stdout.strip()
    assert address.startswith(f"{demo.url}/whiteboard/")
    board = await visitor.visit(address, viewport={"width": 1920, "height": 1080})
    await expect(board.locator("main")).to_contain_text(words)


async def _turn_pages_until(queue: Page, first: str, row: Locator) -> None:
    """The most urgent praise stands on the first page, and what was just said on the last."""
    later = queue.get_by_role("link", name="Later praise")
    for _ in range(60):
        await queue.goto(first)
        while not await row.count() and await later.count():
            # By address: after a click there is a moment when neither page is there to be read.
            await queue.goto(urljoin(first, str(await later.get_attribute("href"))))
        if await row.count():
            return
    raise AssertionError("the praise is on no page of the queue")


async def test_an_answer_that_a_lead_finds_to_be_about_the_shop_leaves_the_counters_and_comes_back(
    demo: RunningDemo, staff: dict[str, Page], database: asyncpg.Connection
) -> None:
    lead = staff["lead"]
    await lead.goto(f"{demo.url}/cases?tab=all")
    serial = serial_of(await lead.locator("#case-title").inner_text())
    for party, why, apart in (("shop", "goods", True), ("carrier", "put_back", False)):
        await lead.locator("#rated").select_option(party)
        await lead.locator("#why").select_option(why)
        await lead.get_by_role("button", name="Change whom it is about").click()
        await expect(lead.locator("#rated")).to_have_value(party)
        for _ in range(600):
            if await database.fetchval(_COUNTED_APART, serial) is apart:
                break
            await lead.wait_for_timeout(100)
        assert await database.fetchval(_COUNTED_APART, serial) is apart
