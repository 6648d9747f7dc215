"""Photographs the page of a running demo as docs/images/demo.png: `make pictures`. Needs Chromium and two minutes."""

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.async_api import Page, ViewportSize

from tests.chromium import leave, running_chromium
from tests.kvittera import demo_with_page
from tests.pictures import IMAGES

FILE: Final = IMAGES / "demo.png"
PORT: Final = 8600
"""The demo's usual port: links on the phones show it."""
ANSWERS: Final = 1200
"""So many give the line of the last minutes a length, and each terminal an interval that can be read."""
_PHONES, _UNLIKE = 6, 5
_PATIENCE_SECONDS: Final = 300
_LOOK_SECONDS: Final = 0.25
_SCREEN: ViewportSize = {"width": 1440, "height": 900}
_SEEN: Final = """() => {
  const text = (where) => document.querySelector(where)?.textContent.trim() ?? "";
  return {
    answers: Number(text('[data-topic="response.recorded.v1"]').replace(/\\D/g, "")),
    audit: text("#audit strong"),
    captions: [...document.querySelectorAll("#phones .phone:not(.empty) + .caption")].map((one) => one.textContent),
    cut: [...document.querySelectorAll("#phones .screen")].some((one) => one.scrollHeight > one.clientHeight + 1),
    trouble: text("#connection"),
  };
}"""


def worth_a_picture(seen: dict[str, Any]) -> bool:
    """Whether the page shows what it can: enough answers, a clean audit, and phones in many moments of a request."""
    captions: list[str] = seen["captions"]
    return (
        seen["answers"] >= ANSWERS
        and seen["audit"] == "0 lost · 0 double"
        and not seen["trouble"]
        and not seen["cut"]
        and len(captions) == _PHONES
        and len(set(captions)) >= _UNLIKE
        and any(caption.startswith("Tapped") for caption in captions)
    )


async def photographed(url: str) -> Image.Image:
    """The page in light colours, at the first moment that is worth a picture.

    Raises:
        TimeoutError: no such moment came; says what was seen last.
    """
    async with running_chromium() as browser:
        context = await browser.new_context(
            viewport=_SCREEN, color_scheme="light", reduced_motion="no-preference", locale="en-GB"
        )
        try:
            page = await context.new_page()
            await page.goto(url)
            await _wait(page)
            return Image.open(io.BytesIO(await page.screenshot()))
        finally:
            await leave(context.close)


async def _wait(page: Page) -> None:
    seen: dict[str, Any] = {}
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not worth_a_picture(seen := await page.evaluate(_SEEN)):
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"no moment worth a picture in {_PATIENCE_SECONDS} s; the last one: {seen}") from None


def main() -> None:
    """Let the demo run, always with the same people, and keep a picture of its page."""
    with (
        tempfile.TemporaryDirectory() as folder,
        demo_with_page(Path(folder), "--rate", "20", "--seed", "1", port=PORT) as demo,
    ):
        drawn = asyncio.run(photographed(demo.url))
    drawn.convert("RGB").quantize(128).save(FILE, optimize=True)
    sys.stdout.write(f"docs/images/{FILE.name}\n")


if __name__ == "__main__":
    main()
