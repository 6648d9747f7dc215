"""What browser tests work with: a visitor who opens pages, and what is stored about an answer."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, ViewportSize

from services.survey.answers.responses import token_hash
from tests.chromium import leave

_BESIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
    .map((e) => `beside the screen: ${e.tagName} ${e.className}`).slice(0, 3)"""


_UNREADABLE = """() => {
  const cut = [], shown = [], range = document.createRange();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode());) {
    const words = text.data.trim(), around = text.parentElement;
    if (!words || around.closest(".vh, .skip, svg, option, script, style")) continue;
    if (!around.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) continue;
    range.selectNodeContents(text);
    let boxes = [...range.getClientRects()].filter((box) => box.width > 2 && box.height > 2);
    for (let part = around; part !== document.body; part = part.parentElement) {
      const style = getComputedStyle(part), edge = part.getBoundingClientRect();
      if (style.overflowX === "visible" || style.webkitLineClamp !== "none") continue;
      const hides = [style.overflowX, style.overflowY].some((how) => how === "hidden" || how === "clip");
      if (hides && boxes.some((box) => box.right > edge.right + 1 || box.bottom > edge.bottom + 1)) cut.push(words);
      boxes = boxes.filter((box) => box.top < edge.bottom && box.bottom > edge.top && box.left < edge.right);
    }
    for (const box of boxes) shown.push([box, text, words]);
  }
  const over = shown.flatMap(([a, text, words], n) => shown.slice(n + 1).filter(([b, other]) => other !== text
    && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > Math.min(a.height, b.height) * 0.4)
    .map(([, , others]) => `${words.slice(0, 30)} and ${others.slice(0, 30)} in one place`));
  return [...cut.map((words) => `cut: ${words.slice(0, 30)}`), ...over].slice(0, 5);
}"""
_DESK: ViewportSize = {"width": 1280, "height": 900}
_USUAL, _LARGE = {"standard": 16, "fixed": 13}, {"standard": 32, "fixed": 26}


async def in_double_text(page: Page) -> list[str]:
    """What is beside the screen, cut or one over the other where the reader's browser writes all twice as large.

    The page is left 1280 pixels wide.
    """
    await page.set_viewport_size(_DESK)
    browser = await page.context.new_cdp_session(page)
    await browser.send("Page.setFontSizes", {"fontSizes": _LARGE})
    large = await page.evaluate("getComputedStyle(document.documentElement).fontSize")
    wrong: list[str] = await page.evaluate(_BESIDE)
    wrong += await page.evaluate(_UNREADABLE)
    await browser.send("Page.setFontSizes", {"fontSizes": _USUAL})
    await browser.detach()
    return wrong if large == "32px" else [f"the text is not twice as large: {large}"]


async def barriers(page: Page, *rules: str) -> list[str]:
    """What axe-core finds on the page as it stands, by all rules or those named, and what lies beside the screen."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(AXE_SCRIPT)
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = await page.evaluate("(options) => axe.run(options)", options)
    broken = [(v["id"], node["html"][:120]) for v in found["violations"] for node in v["nodes"]]
    beside: list[str] = await page.evaluate(_BESIDE)
    return [f"{rule}: {where}" for rule, where in broken] + beside


@dataclass(slots=True)
class Stored:
    """What is stored about a link's answer."""

    database: asyncpg.Connection

    async def answer(self, link: str) -> dict[str, Any] | None:
        """The answer of a link, None when there is none."""
        row = await self.database.fetchrow(
            "SELECT r.* FROM survey.response r JOIN survey.invitation i ON i.invitation_id = r.response_id"
            " WHERE i.token_sha256 = $1",
            token_hash(link.partition("/r/")[2]),
        )
        return None if row is None else dict(row)

    async def rows(self) -> dict[str, int]:
        """How many rows each table of the survey holds; its outbox is one of them."""
        names = await self.database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'survey'")
        return {str(n[0]): int(await self.database.fetchval(f'SELECT count(*) FROM survey."{n[0]}"')) for n in names}


@dataclass  # no slots: Playwright keeps its handles in the listener's object
class Visitor:
    """Opens pages, and remembers what the browser complains about and sends."""

    browser: Browser
    at_exit: AsyncExitStack
    complaints: list[str] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)

    async def visit(self, address: str, **how: Any) -> Page:
        """Open an address in a browser of its own."""
        how = {"locale": "sv-SE", "viewport": {"width": 390, "height": 844}, **how}
        context: BrowserContext = await self.browser.new_context(**how)
        self.at_exit.push_async_callback(leave, context.close)
        context.set_default_timeout(15_000)
        page = await context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", self._fail)
        page.on("request", self._note)
        await page.goto(address)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _note(self, request: Request) -> None:
        if request.method == "POST":
            self.posts.append(request.url)

    def _fail(self, error: Error) -> None:
        self.complaints.append(str(error))
