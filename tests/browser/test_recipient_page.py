"""The recipient's page by finger, by keyboard and without script; who only looks at it writes nothing."""

import asyncio
import json

import pytest
from playwright.async_api import Page

from tests.kvittera import RunningDemo
from tests.visitors import Stored, Visitor

FACES = (1, 2, 3, 4, 5)
PHONE = {"width": 320, "height": 640}
SMALLEST_TARGET = 44


async def fits(page: Page) -> bool:
    """Whether nothing lies beside the screen."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def small_targets(page: Page) -> list[str]:
    """What can be tapped and is smaller than a fingertip."""
    found: list[str] = await page.evaluate(
        """(smallest) => [...document.querySelectorAll("button, .faces label, .chips label, .languages a, .reach a")]
            .filter((e) => e.getClientRects().length)
            .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
            .filter(([, box]) => box.width < smallest - 0.5 || box.height < smallest - 0.5)
            .map(([words, box]) => `${words}: ${box.width} x ${box.height}`)""",
        SMALLEST_TARGET,
    )
    return found


async def brightness(page: Page, selector: str, colour: str) -> float:
    """How bright a colour of an element is, 0 to 255."""
    found: float = await page.evaluate(
        """([selector, colour]) => {
            const [r, g, b] = getComputedStyle(document.querySelector(selector))[colour].match(/[\\d.]+/g).map(Number);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        }""",
        [selector, colour],
    )
    return found


async def test_one_tap_saves_the_answer_and_another_changes_it(link: str, visitor: Visitor, stored: Stored) -> None:
    page = await visitor.visit(link, has_touch=True)
    await page.locator("label[for=score4]").tap()
    await page.locator("#saved").wait_for()
    first = await stored.answer(link)
    await page.locator("label[for=score2]").tap()
    await page.get_by_text("Missnöjd.", exact=True).wait_for()
    second = await stored.answer(link)

    assert first is not None
    assert second is not None
    assert (first["score"], first["revision"]) == (4, 1)
    assert (second["score"], second["revision"]) == (2, 2)
    assert second["response_id"] == first["response_id"]
    assert await page.evaluate("document.activeElement.id") == "saved"


async def test_without_script_the_button_sends_and_details_follow(link: str, visitor: Visitor, stored: Stored) -> None:
    page = await visitor.visit(link, java_script_enabled=False)
    await page.locator("label[for=score2]").click()
    assert await stored.answer(link) is None, "only the button sends"
    await page.locator("button.send").click()
    await page.locator("#saved").wait_for()
    first = await stored.answer(link)
    await page.locator(".chips label").first.click()
    await page.locator("#comment").fill("Kom för sent 🙂")
    await page.locator("form:has(#comment) button.primary").click()
    await page.wait_for_url("**done=1*")
    second = await stored.answer(link)

    assert first is not None
    assert second is not None
    assert (first["score"], first["reasons"], first["comment_sealed"]) == (2, None, None)
    assert (second["score"], len(second["reasons"]), second["revision"]) == (2, 1, 2)
    assert "Kom för sent" not in second["comment_sealed"].decode("latin-1")
    assert await page.locator("h2#saved").is_visible()


async def test_with_script_details_follow_the_tap(link: str, visitor: Visitor, stored: Stored) -> None:
    page = await visitor.visit(link)
    await page.locator("label[for=score5]").click()
    await page.locator("#saved").wait_for()
    await page.locator(".chips label").nth(1).click()
    await page.locator("#comment").fill("Ringde innan")
    await page.locator("form:has(#comment) button.primary").click()
    await page.wait_for_url("**done=1*")
    answer = await stored.answer(link)

    assert answer is not None
    assert (answer["score"], len(answer["reasons"]), answer["comment_sealed"] is None) == (5, 1, False)


async def test_on_the_smallest_phone_everything_is_seen_and_can_be_hit(link: str, visitor: Visitor) -> None:
    page = await visitor.visit(link, viewport=PHONE, has_touch=True, is_mobile=True)
    boxes = [await page.locator(f"label[for=score{n}]").bounding_box() for n in FACES]
    assert await fits(page)
    assert await small_targets(page) == []
    for box in boxes:
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"], "without scrolling"

    await page.locator("label[for=score3]").tap()
    await page.locator("#saved").wait_for()
    assert await fits(page)
    assert await small_targets(page) == []


async def test_the_keyboard_chooses_and_only_the_button_sends(link: str, visitor: Visitor, stored: Stored) -> None:
    page = await visitor.visit(link)
    for _ in range(10):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.name") == "score":
            break
    await page.keyboard.press("Space")
    for _ in range(3):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Space")
    await asyncio.sleep(0.5)

    assert await page.locator("input[name=score]:checked").get_attribute("value") == "4"
    assert visitor.posts == []
    assert await stored.answer(link) is None

    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.classList.contains('send')")
    await page.keyboard.press("Enter")
    await page.locator("#saved").wait_for()
    answer = await stored.answer(link)
    assert answer is not None
    assert (answer["score"], answer["revision"]) == (4, 1)


@pytest.mark.parametrize("scripts", [True, False], ids=["with script", "without script"])
async def test_a_browser_that_only_looks_writes_nothing(
    link: str, scripts: bool, visitor: Visitor, stored: Stored
) -> None:
    for _ in range(15):  # the demo's last recipients may answer meanwhile; a page that writes would do so each time
        before = await stored.rows()
        for address in (link, f"{link}?s=4", f"{link}?s=1&lang=en", f"{link}?done=1&edit=1"):
            page = await visitor.visit(address, java_script_enabled=scripts)
            if scripts:
                await page.evaluate("document.querySelector('label[for=score5]').click()")  # as a scanner's script does
            await page.request.head(address)
        await asyncio.sleep(1.5)
        after = await stored.rows()
        if before == after:
            break

    assert before == after
    assert "outbox" in before
    assert visitor.posts == []
    assert await stored.answer(link) is None


async def test_a_face_in_the_link_is_only_chosen_beforehand(link: str, visitor: Visitor, stored: Stored) -> None:
    page = await visitor.visit(f"{link}?s=4")

    assert await page.locator("input[name=score]:checked").get_attribute("value") == "4"
    assert await page.locator("button.send").is_visible()
    await page.locator("button.send").click()
    await page.locator("#saved").wait_for()
    answer = await stored.answer(link)
    assert answer is not None
    assert answer["score"] == 4


@pytest.mark.parametrize("scripts", [True, False], ids=["with script", "without script"])
async def test_a_parcel_that_never_came_is_told_instead_of_a_face(
    link: str, scripts: bool, visitor: Visitor, stored: Stored
) -> None:
    page = await visitor.visit(link, java_script_enabled=scripts)
    await page.get_by_role("button", name="Jag fick inte paketet").click()
    await page.locator("#saved").wait_for()
    answer = await stored.answer(link)

    assert answer is not None
    assert (answer["contested"], answer["score"]) == (True, None)
    assert await page.locator("input[name=score]").count() == 0


@pytest.mark.parametrize("scripts", [True, False], ids=["with script", "without script"])
async def test_a_parcel_that_came_after_all_can_be_rated(
    link: str, scripts: bool, visitor: Visitor, stored: Stored
) -> None:
    page = await visitor.visit(link, java_script_enabled=scripts)
    await page.get_by_role("button", name="Jag fick inte paketet").click()
    await page.get_by_role("button", name="Paketet kom ändå").click()
    await page.locator("label[for=score4]").wait_for()
    answer = await stored.answer(link)

    assert answer is not None
    assert (answer["contested"], answer["score"]) == (False, None)


async def test_further_questions_and_preferences_are_optional_and_kept(
    link: str, visitor: Visitor, stored: Stored
) -> None:
    page = await visitor.visit(link, has_touch=True)
    await page.locator("label[for=score5]").tap()
    await page.locator("summary").tap()
    await page.locator('label:has(input[name="q.courtesy"][value="4"])').tap()
    await page.get_by_role("button", name="Skicka", exact=True).tap()
    await page.wait_for_url("**done=1*")
    answer = await stored.answer(link)
    assert answer is not None
    assert json.loads(answer["follow_ups"]) == {"courtesy": 4}

    await page.get_by_label("Högst 1 gång per år").check()
    await page.locator("label[for=channel-email]").tap()
    await page.get_by_role("button", name="Spara valet").tap()
    await page.get_by_text("Ditt val är sparat.", exact=True).first.wait_for()
    assert await page.get_by_label("Högst 1 gång per år").is_checked()
    assert await page.locator("#channel-email").is_checked()


async def test_the_language_can_be_changed_and_stays(link: str, visitor: Visitor, stored: Stored) -> None:
    page = await visitor.visit(link)
    assert await page.locator("html").get_attribute("lang") == "sv"
    await page.get_by_role("link", name="Norsk").click()
    await page.get_by_role("heading", name="Hvordan gikk leveringen?").wait_for()
    assert await page.locator("html").get_attribute("lang") == "nb"
    await page.get_by_role("link", name="English").click()
    await page.wait_for_url("**lang=en*")
    assert await page.locator("html").get_attribute("lang") == "en"
    await page.locator("label[for=score5]").click()
    await page.locator("#saved").wait_for()
    answer = await stored.answer(link)

    assert await page.locator("html").get_attribute("lang") == "en"
    assert answer is not None
    assert answer["language"] == "en"


async def test_an_unknown_link_has_a_page_that_tells_nothing(demo: RunningDemo, visitor: Visitor) -> None:
    page = await visitor.visit(f"{demo.url}/r/{'A' * 22}", viewport=PHONE)

    assert await page.locator("h1").is_visible()
    assert await page.locator("form").count() == 0
    assert await fits(page)
    # Chromium itself says on its console that the page came with 404; nothing else may stand there.
    assert [words for words in visitor.complaints if "404" not in words] == []
    visitor.complaints.clear()


async def test_on_a_dark_phone_the_page_is_dark(link: str, visitor: Visitor) -> None:
    page = await visitor.visit(link, color_scheme="dark")
    assert await brightness(page, "body", "backgroundColor") < 60
    assert await brightness(page, "h1", "color") > 180
    await page.locator("label[for=score5]").click()
    await page.locator("#saved").wait_for()

    assert await brightness(page, "body", "backgroundColor") < 60
    assert await brightness(page, "#saved", "color") > 180


async def test_nothing_moves_for_people_who_asked_for_that(link: str, visitor: Visitor) -> None:
    page = await visitor.visit(link, reduced_motion="reduce")
    moving = """() => [...document.querySelectorAll("*")].map((e) => getComputedStyle(e))
        .filter((s) => parseFloat(s.transitionDuration) > 0 || s.animationName !== "none").length"""

    assert await page.evaluate(moving) == 0
    await page.locator("label[for=score5]").click()
    await page.locator("#saved").wait_for()
    assert await page.evaluate(moving) == 0
