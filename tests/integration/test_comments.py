"""Staff find comments by words and facts; the index holds no text, and nothing outlives its comment."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette

from schemas.response import ResponseRecorded
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.survey.comments import search as search_module
from services.survey.comments.http import CommentRoutes
from services.survey.comments.index import IndexComments
from services.survey.comments.languages import Languages
from services.survey.comments.page import CommentsPage
from services.survey.comments.query import Search
from services.survey.comments.search import CommentSearch
from services.survey.comments.texts import SealedTexts
from services.survey.praise.scrub import readable
from tests.answers import answered
from tests.asgi import Reply, ask
from tests.builders import NOON
from tests.conftest import SEALING_KEY
from tests.members import AGENT, ELSEWHERE, LEAD, HeaderGate

pytestmark = pytest.mark.service("survey")

SEAL = Seal(bytes.fromhex(SEALING_KEY))
TEXTS = SealedTexts(SEAL)
LANGUAGES = Languages()


@pytest.fixture
def search(pool: Pool) -> CommentSearch:
    return CommentSearch(pool, TEXTS)


@pytest.fixture
def app(search: CommentSearch) -> Starlette:
    return Starlette(routes=CommentRoutes(search, HeaderGate(), CommentsPage()).routes())


async def react(pool: Pool, *messages: Received[ResponseRecorded]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await IndexComments(TEXTS, LANGUAGES)(connection, messages)


async def commented(pool: Pool, comment: str, **changed: Any) -> uuid.UUID:
    message = await answered(pool, SEAL, comment=comment, **changed)
    await react(pool, message)
    return uuid.UUID(message.message.response_id)


async def found(search: CommentSearch, text: str = "", **how: Any) -> list[str]:
    hits, _ = await search.find(Search(text=text, **how))
    return [readable(h.pieces) for h in hits]


SNOW = "Chauffören levererade trots snöstormen, mycket snällt av honom"
LATE = "Paketet kom alldeles för sent och ingen ringde mig innan"
FINNISH = "Kuljettaja toi paketin kotiin asti ja oli todella ystävällinen"


async def test_words_are_found_in_any_form_of_their_language(pool: Pool, search: CommentSearch) -> None:
    for comment in (SNOW, LATE, FINNISH):
        await commented(pool, comment)
    assert await found(search, "levererar") == [SNOW]
    assert await found(search, "snöstorm") == [SNOW]
    assert await found(search, "kuljettajan") == [FINNISH]
    assert await found(search, "snöstormen chauffören") == [SNOW]
    assert set(await found(search, "snöstormen or sent")) == {SNOW, LATE}
    assert await found(search, "snöstormen -chauffören") == []
    assert await found(search, '"trots snöstormen"') == [SNOW]
    assert await found(search, "finnsinte") == []


async def test_a_star_finds_compounds_and_endings_by_the_beginning_of_the_word(
    pool: Pool, search: CommentSearch
) -> None:
    await commented(pool, LATE)
    assert await found(search, "allde*") == [LATE]
    assert await found(search, "allde") == []
    assert await found(search, "all*") == []


@pytest.mark.parametrize("window", [0, 1, 5000])
async def test_facts_narrow_what_is_found_in_the_newest_and_in_the_index(
    pool: Pool, search: CommentSearch, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(search_module, "_WINDOW", window)  # 0: only the index answers; 1: a second look is needed
    await commented(pool, SNOW, score=5, reasons=("courtesy",), at=NOON)
    await commented(pool, LATE, score=1, reasons=("on_time",), at=NOON - timedelta(days=3))
    await commented(pool, LATE, score=2, at=NOON - timedelta(days=9), delivery={"terminal": "Umeå"})
    assert await found(search, scores=frozenset({5})) == [SNOW]
    assert await found(search, "sent", scores=frozenset({1, 2})) == [LATE, LATE]
    assert await found(search, reasons=frozenset({"on_time", "courtesy"})) == [SNOW, LATE]
    assert await found(search, "sent", terminal="Umeå") == [LATE]
    assert await found(search, "sent", since=NOON - timedelta(days=4)) == [LATE]
    assert await found(search, "sent", until=NOON - timedelta(days=4)) == [LATE]
    assert await found(search, "sent", terminals=frozenset({"Umeå"})) == [LATE]
    assert await found(search, "sent", terminals=frozenset()) == []
    assert await found(search, "sent", terminal="Umeå", terminals=frozenset({"Årsta"})) == []


async def test_places_are_found_though_misspelt(pool: Pool, search: CommentSearch) -> None:
    await commented(pool, SNOW, delivery={"terminal": "Hallsberg"})
    await commented(pool, LATE, delivery={"service_point": "Kiosken Storgatan"})
    for like, wanted in (("hallsbreg", [SNOW]), ("Kiosk", [LATE]), ("%", []), ("Kiruna", [])):
        narrowed = await search.with_places(Search(), like)
        assert [readable(h.pieces) for h in (await search.find(narrowed))[0]] == wanted, like


async def test_masked_words_can_neither_be_searched_nor_read(pool: Pool, search: CommentSearch) -> None:
    await commented(pool, "Portkoden är 4711, hälsar Astrid Canary", contact_name="Astrid Canary")
    assert await found(search, "4711") == []
    assert await found(search, "Astrid") == []
    [text] = await found(search, "portkoden")
    assert "4711" not in text
    assert "Canary" not in text


async def test_the_index_keeps_neither_text_nor_order_of_words(pool: Pool) -> None:
    await commented(pool, LATE)
    words = await pool.fetchval("SELECT words::text FROM comment_index")
    assert ":" not in words
    assert words.split()[0].startswith("'")
    assert "alldeles för sent" not in words


async def test_another_comment_takes_the_place_of_the_first_and_an_older_answer_does_not(
    pool: Pool, search: CommentSearch
) -> None:
    response_id = await commented(pool, LATE, revision=2)
    await commented(pool, SNOW, response_id=response_id, revision=3)
    assert await found(search, "sent") == []
    assert await found(search, "snöstormen") == [SNOW]

    old = await answered(pool, SEAL, response_id=response_id, revision=1, score=1, comment=SNOW)
    await react(pool, old)
    assert await pool.fetchval("SELECT revision FROM comment_index") == 3


async def test_an_erased_answer_leaves_the_index_and_a_replay_does_not_bring_it_back(pool: Pool) -> None:
    first = await answered(pool, SEAL, comment=SNOW)
    await react(pool, first)
    response_id = uuid.UUID(first.message.response_id)
    await pool.execute("UPDATE response SET comment_sealed = NULL WHERE response_id = $1", response_id)
    assert await pool.fetchval("SELECT count(*) FROM comment_index") == 0

    await react(pool, first)
    assert await pool.fetchval("SELECT count(*) FROM comment_index") == 0


async def test_an_answer_told_as_erased_leaves_the_index(pool: Pool) -> None:
    response_id = await commented(pool, SNOW)
    await react(pool, await answered(pool, SEAL, response_id=response_id, revision=2, erased=True))
    assert await pool.fetchval("SELECT count(*) FROM comment_index") == 0


async def test_pages_follow_each_other_without_gap_or_repeat(pool: Pool, search: CommentSearch) -> None:
    for n in range(7):
        await commented(pool, f"Tack för paketet nummer {'abcdefg'[n]}", at=NOON - timedelta(minutes=n // 2))
    seen: list[uuid.UUID] = []
    before = None
    for _ in range(4):
        hits, more = await search.find(Search(text="paketet", before=before), most=2)
        seen += [h.response_id for h in hits]
        before = hits[-1].cursor
    assert len(set(seen)) == len(seen) == 7
    assert not more


async def post(app: Starlette, path: str, member: str, *fields: tuple[str, str], secret: str = "") -> Reply:
    form = [("form_secret", secret or f"secret of {member}"), *fields]
    headers = [("x-member", member), ("content-type", "application/x-www-form-urlencoded")]
    return await ask(app, "POST", path, headers=headers, parts=[urlencode(form).encode()])


async def test_the_page_shows_hits_scrubbed_and_json_says_the_same(pool: Pool, app: Starlette) -> None:
    await commented(pool, f"{SNOW}. Ring 070-174 06 05", score=5, reasons=("courtesy",))
    page = await post(app, "/comments", LEAD.subject, ("q", "snöstorm"), ("score", "5"), ("place", "årsta"))
    assert page.status == 200
    assert "trots snöstormen" in page.text
    assert "174 06 05" not in page.text
    told = await post(app, "/comments.json", LEAD.subject, ("q", "snöstorm"))
    [only] = told.json["comments"]
    assert (only["score"], only["terminal"], only["language"]) == (5, "Årsta", "sv")
    assert [p for p in only["parts"] if "mask" in p] == [{"mask": "phone"}]
    assert told.json["before"] is None


async def test_strangers_find_nothing_and_staff_only_their_terminals(pool: Pool, app: Starlette) -> None:
    await commented(pool, SNOW)
    for method, path in (
        ("GET", "/comments"),
        ("POST", "/comments"),
        ("POST", "/comments.json"),
        ("GET", "/comments/latest"),
    ):
        assert (await ask(app, method, path)).status == 401
    assert "snöstormen" not in (await post(app, "/comments", ELSEWHERE.subject)).text
    assert "snöstormen" in (await post(app, "/comments", AGENT.subject)).text
    assert (await post(app, "/comments", AGENT.subject, secret="guessed")).status == 403


async def test_the_dashboards_fragment_has_the_newest_first(pool: Pool, app: Starlette) -> None:
    await commented(pool, LATE, at=NOON - timedelta(days=1))
    await commented(pool, SNOW, at=NOON)
    fragment = (await ask(app, "GET", "/comments/latest?terminal=%C3%85rsta", headers=[("x-member", "agent-1")])).text
    assert "<html" not in fragment
    assert 0 < fragment.index("snöstormen") < fragment.index("sent och ingen")
    other = await ask(app, "GET", "/comments/latest?terminal=Ume", headers=[("x-member", "agent-1")])
    assert "No comments yet" in other.text
    endless = await ask(app, "GET", f"/comments/latest?terminal={'9' * 5000}", headers=[("x-member", "agent-1")])
    assert "No comments yet" in endless.text


@pytest.mark.parametrize(
    "field",
    [
        ("since", "yesterday"),
        ("until", "9999-12-31"),
        ("before", "2026-10-13T12:00:00 0"),
        ("before", f"2026-10-13 {uuid.UUID(int=0)}"),
        ("before", f"0001-01-01T00:00:00+14:00 {uuid.UUID(int=0)}"),
    ],
)
async def test_wrong_days_and_cursors_are_refused(app: Starlette, field: tuple[str, str]) -> None:
    assert (await post(app, "/comments", LEAD.subject, field)).status == 422


@pytest.mark.parametrize("text", ["'", "\\", "a & | !b:*", "((", "<->", "§s5", "\x00", "or or -", "%", "é" * 400])
async def test_whatever_is_typed_is_only_text(pool: Pool, app: Starlette, text: str) -> None:
    await commented(pool, SNOW)
    for field in ("q", "terminal", "place"):
        assert (await post(app, "/comments", LEAD.subject, (field, text))).status == 200
