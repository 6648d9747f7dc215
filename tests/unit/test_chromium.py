"""A browser that hangs at its end costs seconds, not the run."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
from playwright.async_api import Browser

from tests import chromium
from tests.visitors import Visitor

pytestmark = pytest.mark.timeout(30)


class Page:
    def on(self, *_: object) -> None:
        """Hear of nothing."""

    async def goto(self, _: str) -> None:
        """Be there at once."""


class Stuck:
    """A context, and the browser that gives it, whose close never returns."""

    def __init__(self) -> None:
        self.asked_to_close = 0

    async def new_context(self, **_: Any) -> "Stuck":
        return self

    async def new_page(self) -> Page:
        return Page()

    def set_default_timeout(self, _: float) -> None:
        """Take any."""

    async def close(self) -> None:
        self.asked_to_close += 1
        await asyncio.Event().wait()


async def test_a_context_that_never_closes_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "CLOSING_SECONDS", 0.01)
    stuck = Stuck()
    async with AsyncExitStack() as at_exit:
        visits = Visitor(cast("Browser", stuck), at_exit)
        await visits.visit("https://a.example")
        await visits.visit("https://b.example")

    assert stuck.asked_to_close == 2


async def test_a_browser_and_a_driver_that_never_close_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    browser, driver = Stuck(), Stuck()

    class Starting:
        async def start(self) -> Any:
            return type("Driver", (), {"stop": staticmethod(driver.close)})

    async def launch(_: object) -> Stuck:
        return browser

    monkeypatch.setattr(chromium, "CLOSING_SECONDS", 0.01)
    monkeypatch.setattr(chromium, "async_playwright", Starting)
    monkeypatch.setattr(chromium, "launch", launch)
    async with chromium.running_chromium():
        pass

    assert (browser.asked_to_close, driver.asked_to_close) == (1, 1)


async def test_what_goes_wrong_at_a_close_is_told() -> None:
    async def close() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await chromium.leave(close)
