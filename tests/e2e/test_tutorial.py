"""Somebody follows the tutorial: each of its commands in one terminal, and a browser where it says so."""

import asyncio
import json
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from schemas.topics import CARDS, DELIVERY_COMPLETED
from services.embedded.ports import free_port
from tests.chromium import needs_chromium, running_chromium
from tests.kvittera import RunningDemo, demo_with_page, states
from tests.terminal import Terminal, terminal
from tests.visitors import Visitor

_QUIET_STATES: Final = 6
_TRIES: Final = 100
_PAUSE_SECONDS: Final = 0.1
_WORDS: Final = "Bar upp paketet två trappor och log."
# A reader waits a moment before the next command; a script asks again until there is something to see.
_PATIENT: Final = """
again() { for _ in $(seq 100); do "$@" && return; sleep 0.1; done; echo "gave up: $*" >&2; return 1; }
curl() { again command curl --silent --fail "$@"; echo; }
letters() { command kvittera dlq list "$1" | tee .letters | grep -v "0  in all" > /dev/null && cat .letters; }
kvittera() {
  case "$1 $2" in
    "dlq list") again letters "$3" ;;
    "notifier ") exec "$(type -P kvittera)" notifier ;;  # in the background: %1 is the service itself
    *) command kvittera "$@" ;;
  esac
}
"""


class Tutorial:
    """The document as a reader with this demo has it, step by step."""

    def __init__(self, text: str, folder: Path) -> None:
        self._steps: dict[str, str] = dict(
            re.findall(r"^## (\d+)\. [^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        )
        self._addresses: dict[str, str] = {"$PWD/services": f"{folder}/services"}

    def demo(self) -> list[str]:
        """How the demo is started."""
        [command] = self.blocks(1)
        [arguments] = re.findall(r'^make demo ARGS="(.*)"$', command, re.MULTILINE)
        return shlex.split(arguments)

    def moved_to(self, demo: RunningDemo, notifier_port: int) -> None:
        """Let commands and addresses mean the demo of this test, since ports may be taken."""
        self._addresses |= {"http://127.0.0.1:8600": demo.url, "127.0.0.1:8601": f"127.0.0.1:{notifier_port}"}

    def text(self, step: int) -> str:
        """A step's text."""
        text = self._steps[str(step)]
        for told, here in self._addresses.items():
            text = text.replace(told, here)
        return text.replace("audit\n", "audit --wait 20\n")

    def blocks(self, step: int, language: str = "sh") -> list[str]:
        """What a step has for copying."""
        return re.findall(rf"^```{language}\n(.*?)^```", self.text(step), re.MULTILINE | re.DOTALL)

    def pages(self, step: int) -> list[str]:
        """The addresses of pages in a step, as a browser writes them."""
        return [quote(told, safe=":/?=") for told in re.findall(r"<(http://[^>]*)>", self.text(step))]


@pytest.fixture(scope="module")
def tutorial(repository: Path) -> Tutorial:
    return Tutorial((repository / "docs/tutorial.md").read_text(encoding="utf-8"), repository)


@pytest.fixture(scope="module")
def demo(tutorial: Tutorial, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The demo of the first step, once its own upstream has gone quiet as the document says."""
    needs_chromium()
    folder = tmp_path_factory.mktemp("tutorial")
    [program] = tutorial.blocks(4, "python")
    (folder / "send_delivery.py").write_text(program, encoding="utf-8")
    (folder / ".venv").symlink_to(sys.prefix)
    with demo_with_page(folder, *tutorial.demo()) as running:
        seen: list[dict[str, int]] = []
        for state in states(running, 240):
            seen = [*seen[1 - _QUIET_STATES :], state["topics"]]
            if seen[-1][DELIVERY_COMPLETED] and len(seen) == _QUIET_STATES and all(told == seen[0] for told in seen):
                break
        yield running


@pytest.fixture(scope="module")
async def shell(tutorial: Tutorial, demo: RunningDemo, repository: Path) -> AsyncIterator[Terminal]:
    port = free_port()
    tutorial.moved_to(demo, port)
    variables = {"PYTHONPATH": str(repository), "KVITTERA_NOTIFIER_PORT": str(port), "COLUMNS": "200"}
    async with terminal(demo.folder, {**os.environ, **variables}, _PATIENT) as opened:
        yield opened


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    """The reader's browser, which must have nothing to complain about."""
    async with running_chromium() as chromium, AsyncExitStack() as at_exit:
        visits = Visitor(chromium, at_exit)
        yield visits
        assert visits.complaints == []


@pytest.mark.timeout(600)
async def test_every_step_does_what_the_tutorial_says(tutorial: Tutorial, shell: Terminal, visitor: Visitor) -> None:
    said = await shell.run(*tutorial.blocks(2))
    assert f"all {len(CARDS)} topics are as their cards say" in said
    assert "clean: 0 lost, 0 double, 0 differing cells" in said
    said = await shell.run(*tutorial.blocks(3))
    assert '"delivered":' in said

    publish, look = tutorial.blocks(4)
    said = await shell.run(publish)
    assert ('"delivery_id":"MY-1"' in said, '"outcome":"scheduled"' in said) == (True, True), said
    reader = await visitor.visit(await link_of_the_message(shell, look), locale="en-GB")

    await tap(reader, 2)
    assert await counted(shell, tutorial, {"2": 1}) == {"answers": 1, "2": 1, "delivered": 1, "asked": 1}
    await tap(reader, 4)
    assert await counted(shell, tutorial, {"4": 1}) == {"answers": 1, "4": 1, "delivered": 1, "asked": 1}

    board = await praise_put_on_the_board(tutorial, reader, visitor)
    await the_parcel_did_not_come(reader)
    assert await counted(shell, tutorial, {"answers": 0}) == {"delivered": 1, "asked": 1}
    for _ in range(_TRIES):
        if not await board.get_by_text(_WORDS).count():
            break
        await board.reload()
    await expect(board.locator("main")).not_to_contain_text(_WORDS)

    said = await shell.run(*tutorial.blocks(7))
    assert '"outcome":"suppressed","reason":"exception_open"' in said
    said = await shell.run("".join(tutorial.blocks(8)))
    assert re.search(r"1\s+schema\s+delivery.method", said), said
    assert "1 would be sent to delivery.completed.v1" in said
    assert "1 were sent to delivery.completed.v1" in said
    said = await shell.run(*tutorial.blocks(9))
    assert "clean: 0 lost, 0 double, 0 differing cells" in said


async def tap(reader: Page, score: int) -> None:
    """Tap a face, and wait for the page that tells what is saved."""
    async with reader.expect_navigation():
        await reader.locator(f"label[for=score{score}]").click()


async def link_of_the_message(shell: Terminal, look: str) -> str:
    """The link to answer by, as soon as the newest message is the one to the tutorial's recipient."""
    for _ in range(_TRIES):
        [message] = json.loads(await shell.run(look))["messages"]
        if message["recipient"] == "astrid.exempel@brevlada.example":
            return str(message["link"])
        await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError(f"the newest message is another's: {message}")


async def counted(shell: Terminal, tutorial: Tutorial, wanted: dict[str, int]) -> dict[str, int]:
    """What the reader's command tells of the delivery's route, without zeros, once it tells what is wanted."""
    for _ in range(_TRIES):
        [names, row] = (await shell.run(*tutorial.blocks(5))).splitlines()
        numbers = map(int, row.strip().removeprefix("Rutt 99").split()[:8])
        told = dict(zip(names.split()[1:9], numbers, strict=True))
        if told.items() >= wanted.items():
            return {name: number for name, number in told.items() if number}
    raise AssertionError(f"{wanted} was not counted: {told}")


async def praise_put_on_the_board(tutorial: Tutorial, reader: Page, visitor: Visitor) -> Page:
    """From the best face to the whiteboard, which is returned."""
    await tap(reader, 5)
    await reader.locator("#comment").fill(_WORDS)
    await reader.locator("form:has(#comment) button.primary").click()
    await reader.wait_for_url("**done=1*")

    sign_in, queue, board = tutorial.pages(6)
    lead = await visitor.visit(sign_in, viewport={"width": 1440, "height": 900}, locale="en-GB")
    await lead.locator("input[value=lead]").check()
    await lead.get_by_role("button", name="Sign in").click()
    await lead.wait_for_url("**/praise")
    await lead.goto(queue)
    newest = lead.locator(".list li").last
    for _ in range(_TRIES):
        if _WORDS in await newest.inner_text():
            break
        await lead.reload()
    await newest.locator("a", has_text=_WORDS).click()
    await lead.get_by_role("button", name="Passed on to the one who did it").click()
    await lead.get_by_role("button", name="Put on the board").click()
    await lead.goto(board)
    await expect(lead.locator(".slide.on .large")).to_contain_text(_WORDS)
    await expect(lead.locator(".slide.on .large")).to_contain_text("Rutt 99")
    return lead


async def the_parcel_did_not_come(reader: Page) -> None:
    """What the recipient of the praise says afterwards."""
    await reader.goto(reader.url.partition("?")[0])
    await reader.get_by_role("button", name="I did not get the parcel").click()
    await expect(reader.locator("h2#saved")).to_have_text("We have noted that you did not get the parcel.")
