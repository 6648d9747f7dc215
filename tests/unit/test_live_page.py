"""The live page and its files, before any number has come."""

import re
from html.parser import HTMLParser

import pytest
from starlette.applications import Starlette

from services.aggregator.live import page as live_page
from services.aggregator.live.page import render_live
from services.aggregator.staff.page import PAGES as FILES
from services.chassis.web.files import page_files
from tests.asgi import Reply, ask
from tests.live_pictures import PAGES

APP = Starlette(routes=[*live_page.routes()])


async def get(path: str, *headers: tuple[str, str]) -> Reply:
    return await ask(APP, "GET", path, headers=headers)


async def test_the_page_runs_only_its_own_files_and_nothing_inline() -> None:
    page = await get("/live")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page.text)
    assert "http://" not in page.text
    assert "https://" not in page.text


@pytest.mark.parametrize(
    ("address", "chosen"),
    [
        ("/live", ["today", "terminal", "", "weeks"]),
        ("/live?span=month&rows=country&compare=none", ["month", "country", "", "none"]),
        ("/live?rows=country&method=home_day", ["today", "terminal", "home_day", "weeks"]),
        ("/live?span=never", ["today", "terminal", "", "weeks"]),
    ],
)
async def test_the_page_looks_at_what_its_address_says(address: str, chosen: list[str]) -> None:
    assert re.findall(r'<option value="(\w*)" selected>', (await get(address)).text) == chosen


async def test_every_file_of_the_page_is_there_and_is_asked_for_once() -> None:
    wanted = set(re.findall(r'"(/live/assets/[^"]+)"', render_live().decode()))
    imported = set()
    for path in wanted:
        answer = await get(path)
        assert answer.status == 200
        assert (await get(path, ("if-none-match", answer.headers["etag"]))).status == 304
        imported |= {f"/live/assets/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)}
    assert imported
    for path in imported:
        assert (await get(path)).headers["content-type"].startswith("text/javascript")


async def test_only_files_of_the_page_can_be_had() -> None:
    for name in ("live.html", "..%2Flive_page.py", "missing.js"):
        assert (await get(f"/live/assets/{name}")).status == 404


def test_before_the_first_number_every_figure_is_a_dash_and_never_a_zero() -> None:
    leads = re.findall(r"data-value>([^<]*)<", render_live().decode())
    assert leads == ["–"] * 5


class Outline(HTMLParser):
    """Notes what a reader of the page's structure meets."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_can_be_walked_by_keyboard_and_by_structure() -> None:
    outline = Outline()
    outline.feed(render_live().decode())
    assert [tag for tag, _ in outline.tags if tag == "h1"] == ["h1"]
    assert all(a.get("scope") for tag, a in outline.tags if tag == "th")
    scrolled = [a for _, a in outline.tags if a.get("class") == "scroll"]
    assert all(a.get("tabindex") == "0" and (a.get("aria-label") or a.get("aria-labelledby")) for a in scrolled)
    ids = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in outline.tags if "aria-labelledby" in a} <= set(ids)


@pytest.mark.parametrize("path", PAGES)
def test_the_first_load_of_every_page_is_under_150_kb(path: str) -> None:
    files = page_files(FILES, figures=True)
    page = PAGES[path]()
    first = set(re.findall(r'"/live/assets/([^"]+)"', page.decode()))
    todo = set(first)
    while todo:
        text = files[todo.pop()].body.decode()
        new = {name for name in re.findall(r'from "\./([^"]+)"', text) if name not in first}
        first |= new
        todo |= new
    assert bool(first) is not path.startswith("/quality")
    assert len(page) + sum(len(files[name].body) for name in first) < 150_000
