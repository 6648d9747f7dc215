"""Each page of the aggregator in a real browser: nothing is in the way, and it looks like its picture."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.aggregator_stage import ORIGIN, PHONE, WIDE, Stage, context, page, show, stage
from tests.chromium import leave
from tests.likeness import MOST, checked_in, difference, has_inter, kept, picture_of, restyle
from tests.live_pictures import NOW, PAGES
from tests.visitors import barriers, in_double_text

__all__ = ["context", "page", "stage"]


def name_of(path: str, look: str) -> str:
    return f"{path.strip('/').replace('/', '-')}-{look}"


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
