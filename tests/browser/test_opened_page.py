"""The report of a page that was touched and left: sent by the browser when it leaves, and kept by the survey."""

from collections.abc import Iterator

import asyncpg
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


async def test_a_page_that_was_touched_and_left_counts_as_opened_and_one_only_looked_at_does_not(
    links: Iterator[str], visitor: Visitor, stored: Stored, database: asyncpg.Connection
) -> None:
    only_seen, touched = next(links), next(links)
    seen = await visitor.visit(only_seen, has_touch=True)
    page = await visitor.visit(touched, has_touch=True)
    await a_person_looks(page)
    await page.touchscreen.tap(*BLANK)
    assert not await is_opened(database, touched)
    await seen.goto("about:blank")
    await page.goto("about:blank")

    async def opened() -> bool:
        return await is_opened(database, touched)

    await until(opened)
    assert not await is_opened(database, only_seen)
    assert await stored.answer(touched) is None
