"""The compose file really run: the demo page in a browser, and every container killed without a loss.

Needs Docker; run with `make test-compose`.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

PAGE = "http://127.0.0.1:8600"
Compose = Callable[..., str]


@pytest.fixture(scope="module")
def compose(request: pytest.FixtureRequest, repository: Path) -> Iterator[Compose]:
    """The whole system up, in a project of its own, removed at the end."""
    if request.config.getoption("--servers") != "containers":
        pytest.skip("needs Docker: run `make test-compose`")

    def run(*words: str) -> str:
        command = ["docker", "compose", "--project-name", "kvittera-test", *words]
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-2000:]}"
        return done.stdout

    os.environ["COMPOSE_PROFILES"] = "demo"
    try:
        run("up", "--build", "--detach", "--wait", "--wait-timeout", "300")
        yield run
    finally:
        run("down", "--volumes", "--timeout", "20")


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "install chromium"
    return found


@pytest.mark.timeout(900)
async def test_the_demo_page_opens_and_a_phone_can_be_answered(compose: Compose, chromium: str) -> None:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(PAGE)
        link = page.locator("a[href*='/r/']").first
        await link.wait_for(timeout=60_000)
        address = await link.get_attribute("href")
        assert address is not None
        await page.goto(PAGE + re.sub(r"^https?://[^/]+", "", address))
        if await page.locator("label[for=score5]").count():
            await page.click("label[for=score5]")
        await page.wait_for_selector("#saved, h1", timeout=15_000)
        await browser.close()
    assert "notifier" in compose("ps", "--services")


@pytest.mark.timeout(900)
def test_every_container_can_be_killed_and_nothing_is_lost_or_doubled(compose: Compose) -> None:
    for victim in ("aggregator", "survey", "notifier", "kafka", "postgres"):
        compose("kill", "--signal", "SIGKILL", victim)
        compose("up", "--detach", "--wait", "--wait-timeout", "120")
    compose("stop", "demo")  # nobody publishes or taps any more
    proof = compose("exec", "--no-TTY", "notifier", "kvittera", "audit", "--wait", "60")

    assert proof.startswith("clean: 0 lost, 0 double, 0 differing cells"), proof
    [acknowledged] = re.findall(r"^(\d[\d ,]*) answers acknowledged", proof, re.MULTILINE)
    assert int(acknowledged.replace(",", "").replace(" ", "")) > 20, proof


@pytest.mark.timeout(300)
def test_containers_run_as_nobody_in_particular_on_a_read_only_disk(compose: Compose) -> None:
    assert compose("exec", "--no-TTY", "survey", "id", "-u").strip() == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        compose("exec", "--no-TTY", "survey", "touch", "/opt/kvittera/x")
