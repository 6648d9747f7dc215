"""The report of a page that was touched and left: sent by the browser when it leaves, and counted."""

from datetime import datetime
from uuid import UUID

import asyncpg
from playwright.async_api import Page

from services.survey.answers.responses import token_hash
from tests.harness import until
from tests.visitors import Visitor

BLANK = (4, 4)
"""A spot of the page where nothing is."""


async def opened(database: asyncpg.Connection, link: str) -> tuple[UUID, datetime | None]:
    row = await database.fetchrow(
        "SELECT invitation_id, opened_at FROM survey.invitation WHERE token_sha256 = $1",
        token_hash(link.partition("/r/")[2]),
    )
    assert row is not None
    return row["invitation_id"], row["opened_at"]


async def leave(page: Page) -> None:
    """Go to another page, as by the browser's own button."""
    await page.goto("about:blank")


async def test_a_page_that_was_touched_and_left_counts_as_opened(
    link: str, visitor: Visitor, database: asyncpg.Connection
) -> None:
    page = await visitor.visit(link, has_touch=True)
    assert (await opened(database, link))[1] is None
    await page.touchscreen.tap(*BLANK)
    await leave(page)

    async def counted() -> bool:
        invitation, _ = await opened(database, link)
        rows = await database.fetch("SELECT revision FROM aggregator.answer WHERE response_id = $1", invitation)
        return [r["revision"] for r in rows] == [0]

    await until(counted)
    assert (await opened(database, link))[1] is not None
