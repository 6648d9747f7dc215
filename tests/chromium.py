"""The browser of the tests, started the same way everywhere and with the same font."""

import os
import shutil
from pathlib import Path

from playwright.async_api import Browser, Playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FONTS = Path(__file__).parent / "fonts.conf"


async def launch(playwright: Playwright) -> Browser:
    """Start Chromium, without its own sandbox, which many CI machines cannot give: all pages here are ours.

    Without a graphics card it would act one out, which costs more than painting without.
    """
    return await playwright.chromium.launch(
        executable_path=CHROMIUM,
        chromium_sandbox=False,
        args=["--disable-gpu"],
        env={**os.environ, "FONTCONFIG_FILE": str(_FONTS)},
    )
