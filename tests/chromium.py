"""The browser of the tests, started the same way everywhere and with the same font."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, Playwright, async_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CLOSING_SECONDS = 15.0
_FONTS = Path(__file__).parent / "fonts.conf"
_WITHOUT = (
    # Each window's address bar would load two pages of its own, which takes as long as opening ours.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    # Playwright's own list, since Chromium heeds only the last that it is given.
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AimEnabled",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)


def needs_chromium() -> None:
    """Skip, in CI fail, where there is no browser."""
    if CHROMIUM is None:
        missing = "no Chromium: install chromium, chromium-browser or google-chrome"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """A browser of one's own, ended for certain: the driver ends what does not close by itself."""
    playwright = await async_playwright().start()
    try:
        browser = await launch(playwright)
        try:
            yield browser
        finally:
            await leave(browser.close)
    finally:
        await leave(playwright.stop)


async def leave(close: Callable[[], Awaitable[object]]) -> None:
    """Close a page, a context or a browser, but never wait for longer than CLOSING_SECONDS.

    Now and then Chromium never answers Target.disposeBrowserContext, and Playwright waits without limit. The rest of
    the browser goes on; what was left behind ends with it.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING_SECONDS):
            await close()


async def launch(playwright: Playwright) -> Browser:
    """Start Chromium, without its own sandbox, which many CI machines cannot give: all pages here are ours.

    Without a graphics card it would act one out, which costs more than painting without.
    """
    return await playwright.chromium.launch(
        executable_path=CHROMIUM,
        chromium_sandbox=False,
        args=["--disable-gpu", f"--disable-features={','.join(_WITHOUT)}"],
        env={**os.environ, "FONTCONFIG_FILE": str(_FONTS)},
    )
