"""The report of a page that was touched and left: sent by the browser when it leaves, and kept by the survey."""

import asyncpg
import pytest
from playwright.async_api import Page

from services.survey.answers.responses import token_hash
from services.survey.recipient.suspicion import QUICKEST_HUMAN
from tests.harness import until
from tests.visitors import Stored, Visitor

BLANK = (4, 4)
"""A spot of the page where nothing is."""


async def is_opened(database: asyncpg.Connection, link: str) -> bool:
    """Whether the survey knows the page as opened."""
    opened: bool = await database.fetchval(
        "SELECT opened_at IS NOT NULL FROM survey.invitation WHERE token_sha256 = $1",
        token_hash(link.partition("/r/")[2]),
    )
    return opened


async def a_person_looks(page: Page) -> None:
    """Stay as long as a person needs at least: whoever leaves sooner is taken for a program."""
    await page.wait_for_timeout(1000 * QUICKEST_HUMAN)


async def test_a_page_that_was_touched_and_left_counts_as_opened(
    link: str, visitor: Visitor, stored: Stored, database: asyncpg.Connection
) -> None:
    page = await visitor.visit(link, has_touch=True)
    await a_person_looks(page)
    await page.touchscreen.tap(*BLANK)
    assert not await is_opened(database, link)
    await page.goto("about:blank")

    async def opened() -> bool:
        return await is_opened(database, link)

    await until(opened)
    assert await stored.answer(link) is None


@pytest.mark.parametrize("how", ["without script", "untouched"])
async def test_a_page_left_without_script_or_untouched_reports_nothing(link: str, visitor: Visitor, how: str) -> None:
    page = await visitor.visit(link, has_touch=True, java_script_enabled=how != "without script")
    if how == "without script":
        await page.touchscreen.tap(*BLANK)
    await page.goto("about:blank")
    assert visitor.posts == []
