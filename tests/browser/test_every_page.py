"""Every state of the recipient's pages in every language, in a real browser, without the system behind it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, Route, ViewportSize

from services.survey.languages import LANGUAGES
from services.survey.recipient.rendering import SurveyPages
from tests.chromium import leave
from tests.recipient_pages import DEFINITIONS, SAVED, SITE, STATES, State, touchpoint_question

ORIGIN = "https://svar.nordposten.example"
PHONE: ViewportSize = {"width": 390, "height": 844}
SMALLEST_PHONE: ViewportSize = {"width": 320, "height": 640}
ALL_RULES = {"resultTypes": ["violations"]}
BUT_CONTRAST = ALL_RULES | {"rules": {"color-contrast": {"enabled": False}}}
CONTRAST = ALL_RULES | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
JUDGED_FOR_COLOURS = ("sv", "de")
"""In light and dark. Colours are those of the state, whatever the language; the second has the longest words."""
WITHOUT_SCRIPT = ("question", "question not saved", "saved low", "done", "contested", "not ready")

TOUCHPOINTS = sorted(set(DEFINITIONS) - {"home"})


def _question_of(occasion: str) -> State:
    return lambda pages, code: pages.render_question(touchpoint_question(occasion, code))


def _saved_of(occasion: str) -> State:
    definition = DEFINITIONS[occasion]
    saved = replace(SAVED, definition=definition, follow_ups=definition.follow_ups, followed={})
    return lambda pages, code: pages.render_saved(replace(saved, language=code))


SHOWN: dict[str, State] = {
    **STATES,
    **{f"question {occasion}": _question_of(occasion) for occasion in TOUCHPOINTS},
    **{f"saved {occasion}": _saved_of(occasion) for occasion in TOUCHPOINTS},
}
_SCRIPTS = re.compile("script-src [^;]+")
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
    .map((e) => `beside the screen: ${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)}`).slice(0, 3)"""
BROKEN_WORDS = """() => {
  const broken = [], range = document.createRange();
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode());) {
    if (text.parentElement.closest(".vh") || !text.parentElement.getClientRects().length) continue;
    for (const word of text.data.matchAll(/[^\\s\\u00ad-]+/g)) {
      if (text.data[word.index - 1] === "\\u00ad") continue; // the hyphen on the line above would count as its part
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].filter((box) => box.width > 1)
        .map((box) => Math.round(box.top)));
      if (lines.size > 1) broken.push(`broken in the middle: ${word[0]}`);
    }
  }
  return broken;
}"""
SMALL_TARGETS = """() => [...document.querySelectorAll(
    "button, summary, .faces label, .chips label, .segments label, .steps label, .choices label, .languages a,"
    + " .reach a, textarea, .contact input, .again a")]
  .filter((e) => e.getClientRects().length)
  .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
  .filter(([, box]) => box.width < 43.5 || box.height < 43.5)
  .map(([words, box]) => `small target: ${words} ${box.width} x ${box.height}`)"""
SHIFTS = """() => new Promise((resolve) => {
  let moved = 0;
  new PerformanceObserver((list) => { for (const shift of list.getEntries()) moved += shift.value; })
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => setTimeout(() => resolve(moved ? [`moved by ${moved}`] : []), 0));
})"""
DOUBLE_TEXT = "() => { document.documentElement.style.fontSize = '200%'; }"


@dataclass
class Gallery:
    """The pages behind one origin, with their own headers; remembers what was asked for and complained about."""

    page: Page
    pages: SurveyPages
    scripts: bool = True
    shown: int = 0
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def serve(self, route: Route) -> None:
        """Answer a request for `/state?lang=…` as the survey service does."""
        self.asked.append(route.request.url)
        state, language = self._wanted
        headers = dict(self.pages.headers)
        if not self.scripts:
            headers["Content-Security-Policy"] = _SCRIPTS.sub("script-src 'none'", headers["Content-Security-Policy"])
        # A page that looks again by itself must not do so while axe looks at it on a busy machine.
        body = SHOWN[state](self.pages, language).replace(b'data-reload="', b'data-reload="9')
        await route.fulfill(body=body, headers=headers | {"Content-Type": "text/html; charset=utf-8"})

    async def show(self, state: str, language: str) -> Page:
        """Open one page."""
        self._wanted = (state, language)
        self.shown += 1
        await self.page.goto(f"{ORIGIN}/r/{state.replace(' ', '-')}?lang={language}")
        return self.page

    async def movements(self, state: str, language: str) -> list[str]:
        """What moves whenever the page is opened. One painted half-way, on a machine that is busy, moves once."""
        moved: list[str] = await self.page.evaluate(SHIFTS)
        if moved:
            await self.show(state, language)
            moved = await self.page.evaluate(SHIFTS)
        return moved

    async def violations(self, options: dict[str, Any] | None = None) -> list[str]:
        """What axe-core finds on the page that is open."""
        found = await self.page.evaluate("(options) => axe.run(options)", options or ALL_RULES)
        return [
            f"{violation['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


@pytest.fixture(scope="module")
async def gallery(chromium: Browser) -> AsyncIterator[Gallery]:
    context = await chromium.new_context(viewport=PHONE, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = await context.new_page()
    shown = Gallery(page, SurveyPages(SITE))
    page.on("console", lambda message: shown.complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    await context.add_init_script(AXE_SCRIPT)  # sent once, not with every page
    await context.route("**/*", shown.serve)
    yield shown
    await leave(context.close)


@pytest.fixture(autouse=True)
async def reset(gallery: Gallery) -> None:
    gallery.scripts = True
    gallery.shown = 0
    gallery.asked.clear()
    gallery.complaints.clear()
    await gallery.page.set_viewport_size(PHONE)
    await gallery.page.emulate_media(color_scheme="light", forced_colors="none")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_on_every_page_axe_finds_nothing_nothing_moves_or_is_fetched_and_all_fits_small_phones_and_large_text(
    gallery: Gallery, language: str
) -> None:
    found: dict[str, list[str]] = {}
    for state in STATES:
        page = await gallery.show(state, language)
        colours = language in JUDGED_FOR_COLOURS
        found[state] = await gallery.movements(state, language)
        found[state] += await gallery.violations(ALL_RULES if colours else BUT_CONTRAST)
        if colours:
            await page.emulate_media(color_scheme="dark")
            found[state] += [f"dark: {wrong}" for wrong in await gallery.violations(CONTRAST)]
            await page.emulate_media(color_scheme="light")
        await page.set_viewport_size(SMALLEST_PHONE)
        found[state] += [
            wrong for look in (TOO_WIDE, BROKEN_WORDS, SMALL_TARGETS) for wrong in await page.evaluate(look)
        ]
        await page.set_viewport_size(PHONE)
        await page.evaluate(DOUBLE_TEXT)
        found[state] += [f"200 %: {wrong}" for wrong in await page.evaluate(TOO_WIDE)]

    assert {state: wrong for state, wrong in found.items() if wrong} == {}
    assert len(gallery.asked) == gallery.shown, gallery.asked
    assert gallery.complaints == []


@pytest.mark.parametrize("language", ["fi"])
async def test_axe_finds_nothing_on_the_pages_of_any_touchpoint(gallery: Gallery, language: str) -> None:
    found: dict[str, list[str]] = {}
    for occasion in TOUCHPOINTS:
        for state in (f"question {occasion}", f"saved {occasion}"):
            page = await gallery.show(state, language)
            found[state] = await gallery.violations()
            await page.emulate_media(color_scheme="dark")
            found[state] += [f"dark: {wrong}" for wrong in await gallery.violations(CONTRAST)]
            await page.emulate_media(color_scheme="light")

    assert {state: wrong for state, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("language", ["sv", "de"])
async def test_without_script_axe_finds_nothing_either_and_a_button_sends(gallery: Gallery, language: str) -> None:
    gallery.scripts = False
    found: dict[str, list[str]] = {}
    for state in WITHOUT_SCRIPT:
        page = await gallery.show(state, language)
        assert await page.locator("html.js").count() == 0
        found[state] = await gallery.violations()
        for button in await page.locator("form button").all():
            assert await button.is_visible(), state

    assert {state: wrong for state, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_question_stands_in_one_screen(gallery: Gallery, language: str) -> None:
    page = await gallery.show("question", language)
    languages = await page.locator(".languages").bounding_box()
    assert languages is not None
    assert languages["y"] + 44 <= PHONE["height"], "all but a second line of languages"
    await page.set_viewport_size(SMALLEST_PHONE)
    faces = await page.locator(".faces").bounding_box()
    assert faces is not None
    assert faces["y"] + faces["height"] <= SMALLEST_PHONE["height"]


async def test_the_details_can_be_filled_in_by_keyboard_alone(gallery: Gallery) -> None:
    page = await gallery.show("saved high", "sv")
    await page.locator("#reason-other").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Ringde innan")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # unfolds the further questions
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await page.keyboard.press("ArrowRight")
    courtesy = page.locator('input[name="q.courtesy"]:checked')
    assert await courtesy.get_attribute("value") == "2"
    assert await page.evaluate("getComputedStyle(document.activeElement.nextElementSibling).outlineStyle") == "solid"
    await page.locator("#wants-contact").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Elin")

    assert await page.locator("#reason-other").is_checked()
    assert await page.locator("#comment").input_value() == "Ringde innan"
    assert await page.locator("#contact-name").input_value() == "Elin"
    assert [url for url in gallery.asked if "saved-high" not in url] == []


async def test_forced_colours_keep_what_is_chosen_visible(gallery: Gallery) -> None:
    chosen = """(selector) => {
        const style = getComputedStyle(document.querySelector(selector));
        return style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2;
    }"""
    await gallery.page.emulate_media(forced_colors="active")
    page = await gallery.show("saved low", "sv")
    assert await page.evaluate(chosen, ".faces input:checked + label")
    assert await page.evaluate(chosen, ".chips input:checked + label")
    assert await page.evaluate(chosen, ".steps input:checked + b")
    await gallery.show("done", "sv")
    assert await page.evaluate(chosen, ".segments input:checked + label")
