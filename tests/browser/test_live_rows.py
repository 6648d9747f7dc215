"""The rows of the live page in a real browser: chosen, marked with alerts, and never moved under the hand."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.aggregator_stage import ORIGIN, Stage, context, page, show, stage
from tests.live_pictures import ALERTS, NOW, TERMINALS
from tests.visitors import barriers

__all__ = ["context", "page", "stage"]


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


async def test_a_terminal_that_nobody_answered_about_is_no_row_of_too_few(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TERMINALS, "Kalmar", (0, 0.0))
    await show(page, "/live")
    silent = page.locator("#terminals tr", has_text="Kalmar")
    await expect(silent).to_have_text("KalmarNo answers yet.")
    await expect(silent.locator(".hatched")).to_have_count(0)
    await expect(page.get_by_role("rowheader", name="2 grouped")).to_be_visible()
    assert await barriers(page) == []


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


async def test_after_midnight_nothing_of_the_day_before_stays_and_the_new_day_fills_the_rows_again(
    page: Page, stage: Stage
) -> None:
    await page.clock.install()
    await show(page, "/live?row=V%C3%A4xj%C3%B6")
    await expect(page.locator("#apart-words")).to_be_visible()
    await expect(page.locator("#sum")).to_be_visible()
    stage.begun, stage.alerts = False, []
    rows, counts = page.locator("#terminals tbody tr"), page.locator("#funnel tr:not([hidden]) [data-count]")
    await page.clock.run_for(10_000)  # this stage's stream ends, and the next one tells of the new day
    await expect(rows).to_have_text(["No answers yet"])
    await expect(counts).to_have_text(["0", "0", "0", "0"])  # delivered, asked, answered, commented
    await expect(page.locator("#funnel tr:not([hidden]) [data-of]").nth(1)).to_be_empty()
    for gone in ("#sum", "#apart-words", "#estimate-words", "#ledger"):
        await expect(page.locator(gone)).to_be_hidden()
    stage.begun = True
    await page.clock.run_for(10_000)
    await expect(rows).to_have_count(len(TERMINALS) + 1)
    await expect(page.locator("tr.chosen th")).to_have_text("Växjö", use_inner_text=True)
    await expect(page.locator("#terminals .spark .dot").first).to_be_visible()
    await expect(counts.first).to_have_text("74,672")


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
