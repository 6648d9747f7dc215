"""Whiteboard and praise queue in a real browser: readable, still where wished, nothing for axe to find."""

import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
from axe_playwright_python.async_playwright import Axe
from markupsafe import Markup
from playwright.async_api import Browser, Page, Route, ViewportSize

from services.survey.comments.page import CommentsPage
from services.survey.comments.search import Hit
from services.survey.comments.texts import Comment
from services.survey.praise.board_page import LANGUAGES, BoardPage
from services.survey.praise.desk import Moment, Shown
from services.survey.praise.queue_page import Chosen, QueuePage
from services.survey.praise.rules import State
from services.survey.praise.scrub import scrub
from services.survey.staff.pages import StaffPages
from tests.boards import BOARD, SHOWN, quote
from tests.builders import NOON
from tests.chromium import leave
from tests.likeness import MOST, difference, has_inter, kept, picture_of, restyle
from tests.members import AGENT, LEAD, READER
from tests.unit.test_praise_rules import praise
from tests.visitors import in_double_text

TV: ViewportSize = {"width": 1920, "height": 1080}
LONG = "Han bar in allt. " * 18


def boards() -> dict[str, tuple[bytes, Mapping[str, str]]]:
    page = BoardPage(7)
    few = replace(SHOWN, today=None, passed_on=None, reason=None, quotes=())
    long = replace(SHOWN, today=50, quotes=(quote(LONG, sign=16), *SHOWN.quotes))
    found = {f"/board/{code}": page.render(replace(SHOWN, board=replace(BOARD, language=code))) for code in LANGUAGES}
    found |= {"/board": found["/board/sv"], "/few": page.render(few), "/long": page.render(long)}
    return {path: (body, page.headers) for path, body in found.items()}


def queues() -> dict[str, tuple[bytes, Mapping[str, str]]]:
    page = QueuePage()
    comment = Comment("Ringde 070-174 06 05 innan, snälla Kalle bar upp allt", b"first")
    found: dict[str, tuple[bytes, Mapping[str, str]]] = {}
    for path, member, state in (
        ("agent", AGENT, State.WAITING),
        ("lead", LEAD, State.PASSED_ON),
        ("reader", READER, State.DISPUTED),
    ):
        shown = Shown(praise(state), 0, False, comment)
        timeline = [Moment(NOON, "opened", None, None), Moment(NOON, "dispute", "Anton Agent", "Jag var ledig")]
        body = page.render(
            member,
            "secret",
            [shown],
            Chosen(shown, timeline, "sv"),
            show="waiting",
            waiting=(1, 1),
            now=NOON + timedelta(days=2),
        )
        found[f"/{path}"] = (body, page.headers)
    return found | {
        "/empty": (page.render(LEAD, "s", [], None, show="waiting", waiting=(0, 0), now=NOON), page.headers)
    }


def others() -> dict[str, tuple[bytes, Mapping[str, str]]]:
    """The pages of staff that need no server to be shown: comments, the list of whiteboards, and the sign-in."""
    comments, board, sign_in = CommentsPage(), BoardPage(7), StaffPages.load(demo=True)
    hit = Hit(UUID(int=1), NOON, 2, ("on_time",), "Årsta", None, "sv", scrub("Ring 070-174 06 05, kom i morgon", "SE"))
    gone = replace(hit, language=None, pieces=(), score=None)
    asked = dict.fromkeys(("q", "terminal", "place", "since", "until"), "") | {"scores": [2], "reasons": []}
    links = Markup('<li><a href="/whiteboard/%C3%85rsta">Årsta</a></li>')
    page = comments.headers
    return {
        "/comments": (comments.render(AGENT, "secret", [hit, gone], more=True, asked=asked), page),
        "/no-comments": (comments.render(LEAD, "secret", [], more=False, asked=asked), page),
        "/boards": (board.render_list(links), board.headers),
        "/no-boards": (board.render_list(Markup()), board.headers),
        "/choose-account": (sign_in.choose_account("/cases"), sign_in.headers),
        "/signed-in": (sign_in.signed_in(LEAD, "secret"), sign_in.headers),
        "/notice": (sign_in.notice("Not signed in", "The sign-in took too long."), sign_in.headers),
    }


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    pages = boards() | queues() | others()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, headers = pages[self.path.partition("?")[0]]
            self.send_response(200)
            for name, value in {**headers, "content-type": "text/html; charset=utf-8"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    opened = await chromium.new_page(viewport=TV)
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    await leave(opened.close)
    assert complaints == []


UNDER_28 = """() => [...document.querySelectorAll("main *")]
  .filter((e) => e.children.length === 0 && e.textContent.trim() && e.checkVisibility({ visibilityProperty: true }))
  .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 28 && !e.closest(".vh")).map((e) => e.outerHTML)"""
INSIDE = """() => [...document.querySelectorAll(".slide.on *, header *, footer *")].filter((e) => !e.closest(".vh"))
  .map((e) => [e, e.getBoundingClientRect()])
  .filter(([, r]) => r.width && (r.right > innerWidth || r.bottom > innerHeight)).map(([e]) => e.outerHTML)"""
OVERLAP = (
    """() => document.querySelector(".slide.on").scrollHeight - document.querySelector(".slide.on").clientHeight"""
)


@pytest.mark.parametrize("path", [f"/board/{code}" for code in LANGUAGES] + ["/few", "/long"])
async def test_the_board_is_readable_at_five_metres_and_axe_finds_nothing(page: Page, site: str, path: str) -> None:
    await page.goto(site + path)

    assert await page.evaluate(UNDER_28) == []
    assert await page.evaluate(INSIDE) == []
    if path != "/few":
        assert await page.evaluate(OVERLAP) <= 0
        large = page.locator(".slide.on .large p")
        assert float(await large.evaluate("(e) => parseFloat(getComputedStyle(e).fontSize)")) >= 44
    assert [v["id"] for v in (await Axe().run(page)).response["violations"]] == []


@pytest.mark.skipif(not has_inter(), reason="the pictures were drawn with the font Inter")
@pytest.mark.parametrize("look", ["screen", "print"])
async def test_the_board_looks_like_its_picture_and_not_so_when_a_part_has_moved(
    page: Page, site: str, look: str
) -> None:
    await page.emulate_media(media="print" if look == "print" else "screen")
    await page.goto(f"{site}/board")
    found = await picture_of(page)
    whole = kept(f"whiteboard-{look}", found)
    assert difference(found, whole) < MOST
    await restyle(page, ".tally, .print svg { transform: translateX(80px) }")
    assert difference(await picture_of(page), whole) > MOST


@pytest.mark.parametrize(("motion", "seconds"), [("no-preference", "0.4s"), ("reduce", "0s")])
async def test_quotes_fade_for_400_ms_or_swap_where_no_motion_is_wished(
    page: Page, site: str, motion: str, seconds: str
) -> None:
    await page.clock.install()
    await page.emulate_media(reduced_motion="reduce" if motion == "reduce" else "no-preference")
    await page.goto(f"{site}/board")
    fade = await page.evaluate("getComputedStyle(document.querySelector('.slide')).transitionDuration")
    assert fade.split(", ")[0] == seconds
    assert "Ringde innan" in (await page.locator(".slide.on .large").text_content() or "")

    await page.clock.run_for(20_000)
    assert "Kom på minuten" in (await page.locator(".slide.on .large").text_content() or "")
    assert await page.locator(".slide.on").count() == 1


async def test_the_board_takes_what_is_new_every_minute(page: Page, site: str) -> None:
    await page.clock.install()
    await page.goto(f"{site}/board")
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append("now")
        body = BoardPage(7).render_now(replace(SHOWN, today=41)).decode()
        await route.fulfill(body=body, content_type="text/html")

    await page.route("**/board?part=now", answer)
    await page.clock.run_for(60_000)
    await page.locator(".number", has_text="41").wait_for()
    assert asked == ["now"]


async def test_printed_the_board_is_one_quote_a_line_in_black(page: Page, site: str) -> None:
    await page.emulate_media(media="print")
    await page.goto(f"{site}/board")

    assert await page.locator(".print li").count() == 4
    assert await page.locator(".print").is_visible()
    assert not await page.locator(".slides").is_visible()
    assert await page.locator(".print p").first.evaluate("(e) => getComputedStyle(e).color") == "rgb(0, 0, 0)"


@pytest.mark.parametrize("path", ["/agent", "/lead", "/reader", "/empty"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_the_praise_queue(page: Page, site: str, path: str, scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.goto(site + path)

    assert [v["id"] for v in (await Axe().run(page)).response["violations"]] == []
    assert "174 06 05" not in await page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_comments_boards_and_sign_in(page: Page, site: str, scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    found = {}
    for path in others():
        await page.goto(site + path)
        found[path] = [v["id"] for v in (await Axe().run(page)).response["violations"]]
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


async def test_text_twice_as_large_is_whole_on_praise_comments_boards_and_sign_in(page: Page, site: str) -> None:
    found = {}
    for path in (*queues(), *others()):
        await page.goto(site + path)
        found[path] = await in_double_text(page)
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("path", ["/lead", "/board"])
async def test_the_pages_fit_a_small_phone(page: Page, site: str, path: str) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})
    await page.goto(site + path)

    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
