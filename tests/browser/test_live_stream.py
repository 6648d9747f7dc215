"""What the live page in a real browser says of its stream: the view, its age, its loss, and what is new."""

import re

from playwright.async_api import Page, expect

from tests.aggregator_stage import ORIGIN, Stage, context, page, show, stage
from tests.live_pictures import NOW, comment
from tests.visitors import barriers

__all__ = ["context", "page", "stage"]

OCHRE = "rgb(124, 83, 0)"


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
