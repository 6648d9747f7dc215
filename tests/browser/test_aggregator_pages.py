"""The aggregator's pages in a real browser at one fixed moment, without the system behind them."""

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

from services.aggregator.live.page import render_live
from services.aggregator.quality.page import headers as quality_headers
from services.aggregator.staff.page import HEADERS
from services.aggregator.staff.page import PAGES as FILES
from services.chassis.web.files import page_files
from tests.chromium import leave
from tests.likeness import MOST, checked_in, difference, has_inter, kept, picture_of, restyle
from tests.live_pictures import ALERTS, COMMENTS, NOW, PAGES, TERMINALS, comment, events
from tests.visitors import barriers, in_double_text

OCHRE = "rgb(124, 83, 0)"
ORIGIN = "https://staff.nordposten.example"
WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


class Stage:
    """Serves the pages with their own headers, and notes what was asked for and complained about."""

    def __init__(self) -> None:
        self.files = page_files(FILES, figures=True)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.comments = list(COMMENTS)
        self.worst = ""
        self.age = 0.2
        self.behind = 0
        self.answers = 9334
        self.away = False
        self.unreached: set[str] = set()
        self.alerts = ALERTS

    async def is_asked(self, path: str) -> None:
        """Wait until a page asks for something."""
        async with asyncio.timeout(90):
            while not any(asked == path or asked.startswith(f"{path}?") for asked in self.asked):
                await asyncio.sleep(0.02)

    def fragment(self) -> str:
        """The newest comments as the survey service writes them."""
        return f'<ol class="comments">{"".join(self.comments)}</ol>'

    async def serve(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        path, query = unquote(url.path), parse_qs(url.query)
        self.asked.append(f"{path}?{url.query}" if url.query else path)
        if path == "/live/events" and self.away:
            await route.abort()
        elif path == "/live/events":
            told = events(
                query.get("row", [""])[0],
                self.worst,
                age=self.age,
                behind=self.behind,
                answers=self.answers,
                unreached=self.unreached,
                alerts=self.alerts,
            )
            await route.fulfill(body=told, headers={"content-type": "text/event-stream"})
        elif path in {"/comments/latest", "/praise/mine"}:
            await route.fulfill(
                body=self.fragment(),
                headers={"content-type": "text/html; charset=utf-8"},
            )
        elif path.startswith("/live/assets/"):
            file = self.files[path.removeprefix("/live/assets/")]
            await route.fulfill(body=file.body, headers={"content-type": file.content_type})
        else:
            own = quality_headers() if path.startswith("/quality") else HEADERS
            page = render_live(compare=query.get("compare") != ["none"]) if path == "/live" else PAGES[path]()
            await route.fulfill(body=page, headers={**own, "content-type": "text/html; charset=utf-8"})


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="module")
async def context(chromium: Browser, stage: Stage) -> AsyncIterator[BrowserContext]:
    opened = await chromium.new_context(viewport=WIDE, reduced_motion="reduce", locale="en-GB")
    opened.set_default_timeout(15_000)
    await opened.route("**/*", stage.serve)
    yield opened
    await leave(opened.close)


@pytest.fixture
async def page(context: BrowserContext, stage: Stage) -> AsyncIterator[Page]:
    stage.asked.clear()
    stage.complaints.clear()
    stage.age, stage.behind, stage.answers, stage.away = 0.2, 0, 9334, False
    stage.unreached, stage.alerts = set(), ALERTS
    opened = await context.new_page()
    opened.on("console", lambda m: stage.complaints.append(m.text) if m.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: stage.complaints.append(str(error)))
    yield opened
    await leave(opened.close)
    assert stage.complaints == []


def name_of(path: str, look: str) -> str:
    return f"{path.strip('/').replace('/', '-')}-{look}"


async def show(page: Page, path: str) -> None:
    await page.goto(ORIGIN + path)
    if path in {"/drivers/me", "/terminals/Arsta"}:
        await page.locator("#comments .comments").wait_for()
    if path.startswith("/live"):
        await page.locator("#satisfied .lead:not(.none)").wait_for()
        await page.locator("#comments .comments").wait_for()
        await page.locator("#terminals .spark .dot").first.wait_for()
        await page.locator("nav .count").wait_for()
        await page.get_by_text("as of").first.wait_for()


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_is_in_the_way_on_any_page_light_dark_wide_narrow_or_in_large_text(page: Page, path: str) -> None:
    await show(page, path)
    found = await barriers(page)
    await page.emulate_media(color_scheme="dark")
    found += [f"dark: {wrong}" for wrong in await barriers(page, "color-contrast")]
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 320, "height": 640})
    found += [f"narrow: {wrong}" for wrong in await barriers(page)]
    found += [f"200 %: {wrong}" for wrong in await in_double_text(page)]
    await page.set_viewport_size(WIDE)
    assert found == []


@pytest.mark.skipif(not has_inter(), reason="the pictures were drawn with the font Inter")
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("look", ["light", "dark", "phone"])
async def test_each_page_looks_like_its_picture(page: Page, path: str, look: str) -> None:
    await page.clock.set_fixed_time(NOW)
    await page.emulate_media(color_scheme="dark" if look == "dark" else "light")
    await page.set_viewport_size(PHONE if look == "phone" else WIDE)
    await show(page, path)
    found = await picture_of(page)
    assert difference(found, kept(name_of(path, look), found)) < MOST
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(WIDE)


@pytest.mark.skipif(not has_inter(), reason="the pictures were drawn with the font Inter")
@pytest.mark.parametrize(
    ("path", "spoilt"),
    [
        ("/quality", "svg.chart { display: none }"),
        ("/quality", ".figures { display: none }"),
        ("/quality", ".corrections { display: none }"),
        ("/terminals/Arsta", "svg.chart { display: none }"),
        ("/terminals/Arsta", ".bar { display: none }"),
        ("/live", "#line canvas { visibility: hidden }"),
        ("/live", "#funnel { transform: translateX(60px) }"),
        ("/live", "#terminals .interval { visibility: hidden }"),
        ("/drivers/me", ".comments { display: none }"),
        ("/digests", ".care { display: none }"),
    ],
)
async def test_a_page_whose_part_is_gone_or_moved_does_not_look_like_its_picture(
    page: Page, path: str, spoilt: str
) -> None:
    await page.clock.set_fixed_time(NOW)
    await show(page, path)
    await restyle(page, spoilt.replace(" }", " !important }"))
    assert difference(await picture_of(page), checked_in(name_of(path, "light"))) > MOST


async def test_the_view_stands_in_the_address_and_the_address_opens_the_view(page: Page, stage: Stage) -> None:
    await show(page, "/live?row=%C3%85rsta&compare=none")
    await expect(page.locator("#line-title")).to_have_text("Årsta, satisfied %, last 4 minutes", use_inner_text=True)
    await expect(page.locator("#row-page")).to_have_attribute("href", "/terminals/%C3%85rsta")
    await expect(page.locator("#satisfied [data-note]")).to_have_text("87.2–88.6", use_inner_text=True)
    await page.locator("select[name=compare]").select_option("weeks")
    await page.locator("text=Above usual, 3.1").wait_for()
    await expect(page.locator("#satisfied [data-note]")).to_have_text(
        "87.2–88.6. No difference from usual, 88.4", use_inner_text=True
    )
    await page.locator("select[name=span]").select_option("month")
    await page.locator("select[name=method]").select_option("home_day")
    await expect(page).to_have_url(f"{ORIGIN}/live?span=month&method=home_day")
    await expect(page.locator("h1")).to_have_text("Home day, this month", use_inner_text=True)
    await stage.is_asked("/live/events?span=month&method=home_day")
    await expect(page.locator("select[name=rows]")).to_be_disabled()


async def test_old_numbers_are_shown_as_old_and_a_counter_that_is_behind_says_so(page: Page, stage: Stage) -> None:
    await page.clock.install(time=NOW)
    stage.age, stage.behind = 12.0, 12_400
    await show(page, "/live")
    stamp, connection = page.locator("#stamp"), page.locator(".connection")
    await expect(stamp).to_have_class(re.compile("stale"))
    await expect(stamp.locator("[data-as-of]")).to_have_css("color", OCHRE)
    await expect(stamp).to_have_text(re.compile(r"Live\s*as of \d\d:\d\d:\d\d, 1\d\ss ago"))
    for _ in range(3):  # the stream of this stage ends and is opened again, so each time tells it once
        stage.asked.clear()
        await page.clock.fast_forward(9_000)
        await stage.is_asked("/live/events")
    await expect(connection).to_contain_text("The counter is 12,400 events behind.")
    await expect(connection).to_contain_text("Answers are safe.")
    stage.age, stage.behind = 0.2, 0
    await page.clock.fast_forward(9_000)
    await expect(stamp).not_to_have_class(re.compile("stale"))
    await expect(stamp.locator("[data-as-of]")).not_to_have_css("color", OCHRE)
    await expect(connection).to_be_empty()


async def test_too_few_answers_are_called_so_in_every_place(page: Page, stage: Stage) -> None:
    stage.answers = 4
    await show(page, "/live")
    for figure in ("satisfied", "dissatisfied", "answers"):
        await expect(page.locator(f"#{figure} .lead")).to_have_text("Too few answers")
        await expect(page.locator(f"#{figure} .drawing")).to_have_class(re.compile("hatched"))
    for row in ("answers", "commented"):
        await expect(page.locator(f"#funnel tr[data-key={row}]")).to_be_visible()
        await expect(page.locator(f"#funnel tr[data-key={row}] [data-count]")).to_have_text("too few")
        await expect(page.locator(f"#funnel tr[data-key={row}] rect")).to_have_attribute("width", "0")
    await expect(page.locator("#funnel tr[data-key=delivered] [data-count]")).to_have_text("32")


async def test_a_stream_that_is_lost_says_since_when_keeps_the_numbers_and_comes_back(page: Page, stage: Stage) -> None:
    await page.clock.install(time=NOW)
    await show(page, "/live")
    stamp, connection = page.locator("#stamp"), page.locator(".connection")
    satisfied = await page.locator("#satisfied .lead").inner_text()
    stage.away = True
    for _ in range(4):
        await page.clock.fast_forward(9_000)
    await expect(connection).to_contain_text("Not live since")
    await expect(connection).to_contain_text("Showing the last known numbers.")
    await expect(stamp.locator("strong")).to_have_text("Not live")
    assert await page.locator("#satisfied .lead").inner_text() == satisfied
    assert await barriers(page) == []
    stage.away = False
    await page.clock.fast_forward(9_000)  # by itself
    await expect(stamp.locator("strong")).to_have_text("Live")
    await expect(connection).to_be_empty()
    stage.away = True
    for _ in range(4):
        await page.clock.fast_forward(9_000)
    stage.away = False
    await page.get_by_role("button", name="Try now").click()
    await expect(stamp.locator("strong")).to_have_text("Live")
    stage.complaints[:] = [said for said in stage.complaints if "net::ERR_FAILED" not in said]


async def test_a_row_is_chosen_by_keyboard_and_its_comments_follow(page: Page, stage: Stage) -> None:
    await show(page, "/live")
    await page.get_by_role("button", name="Växjö").focus()
    await page.keyboard.press("Enter")
    await page.locator("tr.chosen").wait_for()
    await expect(page.locator("tr.chosen th")).to_have_text("Växjö", use_inner_text=True)
    # Its interval ends at 87.28; Sundsvall's begins at 88.09, all others overlap it.
    told = "Växjö: surely below 1, no difference from 8 of 9 others."
    await expect(page.locator("#apart-words")).to_have_text(told)
    await expect(page).to_have_url(f"{ORIGIN}/live?row=V%C3%A4xj%C3%B6")
    await stage.is_asked("/comments/latest?terminal=V%C3%A4xj%C3%B6")


RATES = """() => Object.fromEntries([...document.querySelectorAll("#terminals tbody tr")]
    .filter((row) => row.children.length > 2)
    .map(({ children: cells }) => [cells[0].innerText.split(" alert")[0], [cells[6].innerText, cells[7].innerText]]))"""


async def test_each_row_tells_both_response_rates_and_where_receipts_lack_says_so(page: Page, stage: Stage) -> None:
    await show(page, "/live")
    await expect(page.locator("[data-rate-of]")).to_have_text("reached")
    rates = await page.evaluate(RATES)
    # 1,284 of 4,981 and of 10,272; the grouped are 9 and 3 of 45 and of 96
    assert (rates["Årsta"], rates["2 grouped"]) == (["25.8", "12.5"], ["27", "13"])
    await expect(page.locator("#rate-words")).to_be_empty()
    stage.unreached = {"Malmö"}
    await show(page, "/live")
    rates = await page.evaluate(RATES)
    assert (rates["Malmö"], rates["Årsta"]) == (["–", "12.5"], ["25.8", "12.5"])
    told = "–: receipts tell there of too few to say how many were reached."
    await expect(page.locator("#rate-words")).to_have_text(told)
    stage.unreached = set(TERMINALS) | {""}
    await show(page, "/live")
    await expect(page.locator("[data-rate-of]")).to_have_text("asked")
    assert (await page.evaluate(RATES))["Årsta"] == ["25.0", "12.5"]
    told = "Receipts tell of too few to say how many were reached."
    await expect(page.locator("#rate-words")).to_have_text(told)


async def test_a_small_unit_shows_beside_its_share_an_estimate_that_says_it_is_one(page: Page) -> None:
    await show(page, "/live")
    estimates = page.locator("#terminals .estimate:not([hidden])")
    await expect(estimates).to_have_count(1)
    small = page.locator("#terminals tr", has_text="Visby").locator(".share")
    await expect(small).to_have_text("95 estimate 89", use_inner_text=True)
    await expect(page.locator("#estimate-words")).to_be_visible()
    assert await barriers(page) == []


IN_FALU = """() => {
  const canvas = document.querySelector("#line canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) found += data[i] === 168 && data[i + 1] === 58 && data[i + 2] === 28;
  return found;
}"""


async def test_an_alert_is_marked_on_the_line_and_told_in_words_with_a_link_to_its_terminal(
    page: Page, stage: Stage
) -> None:
    await page.clock.set_fixed_time(NOW)
    stage.alerts = []
    await show(page, "/live")
    await expect(page.locator("#alerts")).to_be_hidden()
    without = await page.evaluate(IN_FALU)
    stage.alerts = ALERTS
    await show(page, "/live")
    # A triangle of 12 by 10 and its leader; the words are more still.
    assert await page.evaluate(IN_FALU) - without > 60
    told = "Alert 14:30: Årsta, more dissatisfied than expected since 12 October"
    await expect(page.locator("#alerts li")).to_have_text([told])
    assert await barriers(page) == []
    link = page.locator("#alerts a")
    await expect(link).to_have_attribute("href", "/terminals/%C3%85rsta")
    await link.focus()
    stage.asked.clear()
    await stage.is_asked("/live/events")  # this stage's stream ends, and the next one tells all anew
    await page.wait_for_timeout(300)
    await expect(link).to_be_focused()


async def test_the_line_of_a_row_bears_its_own_alerts_only(page: Page, stage: Stage) -> None:
    stage.alerts = [*ALERTS, {**ALERTS[0], "value": "Malmö", "time": "14:31"}]
    await show(page, "/live?row=Malm%C3%B6")
    await expect(page.locator("#alerts li")).to_have_text([re.compile("^Alert 14:31: Malmö,")])
    await page.locator("#which button[data-row='']").click()
    await expect(page.locator("#alerts li")).to_have_count(2)
    await expect(page.locator("tr", has_text="Växjö").locator(".tag")).to_be_hidden()
    await expect(page.locator("tr", has_text="Malmö").locator(".tag")).to_have_text("alert 14:31")
    stage.alerts = [{**ALERTS[0], "time": f"14:{n}"} for n in range(20, 27)]
    await show(page, "/live")
    await expect(page.locator("#alerts li")).to_have_count(6)
    await expect(page.locator("#alerts li").last).to_have_text("2 more, marked in their rows")


async def test_rows_change_places_after_a_minute_and_never_under_the_pointer(page: Page, stage: Stage) -> None:
    await page.clock.install()
    await show(page, "/live")
    first, share = (
        page.locator("#terminals tbody tr:first-child th"),
        page.locator("tr", has_text="Malmö").locator(".share"),
    )
    await page.locator("#terminals tbody").hover()
    stage.worst = "Malmö"
    await page.clock.run_for(62_000)
    await expect(share).to_have_text("70.0")
    assert await first.inner_text() == "Årsta alert 14:30"
    await page.mouse.move(5, 5)
    await page.clock.run_for(62_000)
    await expect(first).to_have_text("Malmö")
    stage.worst = ""


async def test_comments_wait_under_the_hand_and_say_how_many_are_new(page: Page, stage: Stage) -> None:
    await page.clock.install()
    await show(page, "/live")
    await page.locator("#comments").hover()
    stage.comments.insert(0, comment(4, "Malmö", "Smidigt i skåpet."))
    await page.clock.run_for(6000)
    await page.locator("#new-comments:not([hidden])").wait_for()
    await expect(page.locator("#new-comments")).to_have_text("1 new", use_inner_text=True)
    await expect(page.locator("#comments li")).to_have_count(2)
    await page.locator("#new-comments").click()
    await expect(page.locator("#comments li")).to_have_count(3)
    stage.comments.pop(0)


async def test_the_quality_page_works_without_script_and_fits_paper(chromium: Browser, stage: Stage) -> None:
    context = await chromium.new_context(viewport=WIDE, java_script_enabled=False)
    await context.route("**/*", stage.serve)
    page = await context.new_page()
    await page.goto(f"{ORIGIN}/quality")
    assert await page.locator("svg.chart").is_visible()
    await page.locator("summary").click()
    assert await page.locator("details tbody tr").count() == 24
    for words in ("Alla rättelser", "Metod i detalj"):
        await page.get_by_role("link", name=words).first.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=words)).to_be_in_viewport()
    await expect(page.locator(".corrections tbody tr")).to_contain_text("sena svar från Gotland")
    await page.emulate_media(media="print")
    assert not await page.locator(".files").is_visible()
    assert await page.locator("svg.chart").is_visible()
    await leave(context.close)
