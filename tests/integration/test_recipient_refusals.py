"""What no page of ours sends is refused and nothing of it kept; what was typed is shown again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.chassis.postgres import Pool
from services.notifier.planned import new_token
from services.survey import bodies
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.survey_app import FORM, invite, lock, post
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")

NOT_SAVED = "Svaret är inte sparat än."


async def test_a_locked_answer_is_read_only(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    await lock(pool, token)
    before = await footprint(pool)
    refused = await post(app, token, ("score", "1"), as_json=True)
    assert (refused.status, refused.headers["content-type"]) == (423, "application/problem+json")
    shown = await post(app, token, ("score", "1"))
    assert (shown.status, shown.headers["content-type"]) == (423, "text/html; charset=utf-8")
    page = await ask(app, "GET", f"/r/{token}?lang=sv")
    assert page.status == 200
    assert shown.body == page.body or "<form" not in shown.text
    for text in (shown.text, page.text):
        assert "<form" not in text
        assert "Nöjd" in text
    assert await footprint(pool) == before


async def test_who_answers_too_late_for_the_first_time_reads_that_it_is_closed(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await lock(pool, token)
    reply = await post(app, token, ("score", "4"))
    assert reply.status == 423
    assert "<form" not in reply.text
    assert await pool.fetchval("SELECT count(*) FROM response") == 0


async def test_an_answer_that_is_not_from_our_page_is_refused(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    wrong_ones = [
        "",
        "x",
        app._views.nonce(new_token()),
        app._views.nonce(token)[:-1],
        "é",
        app._views.nonce(token) + "é",
        "\ud83d\ude00",
    ]
    for nonce in (n.encode("utf-16", "surrogatepass").decode("utf-16") for n in wrong_ones):
        assert (await post(app, token, ("score", "4"), nonce=nonce, as_json=True)).status == 403
        reply = await post(app, token, ("score", "4"), nonce=nonce)
        assert reply.status == 403
        assert NOT_SAVED in reply.text
    missing = await ask(app, "POST", f"/r/{token}", headers=[("content-type", FORM)], parts=[b"score=4"])
    assert missing.status == 403
    assert await footprint(pool) == before


async def test_posting_to_no_link_looks_the_same_whatever_link_it_is_not(app: SurveyRoutes, pool: Pool) -> None:
    expired = await invite(pool, expires_in=timedelta(seconds=-1))
    for as_json in (False, True):
        replies = [
            await post(app, t, ("score", "4"), nonce="guessed", as_json=as_json)
            for t in (new_token(), "x", expired, expired + "\n")
        ]
        assert {r.status for r in replies} == {403}
        assert len({r.body for r in replies}) == 1


async def test_an_unknown_link_is_unknown_to_post_too(app: SurveyRoutes) -> None:
    refused = await post(app, new_token(), ("score", "4"), as_json=True)
    assert (refused.status, refused.json["title"]) == (404, "No such link")
    shown = await post(app, new_token(), ("score", "4"))
    assert shown.status == 404
    assert shown.body == (await ask(app, "GET", "/r/x?lang=sv")).body


@pytest.mark.parametrize(
    ("pairs", "title"),
    [
        ((("score", "6"),), "score must be 1, 2, 3, 4 or 5"),
        ((("score", "4"), ("comment", "å" * 2001)), "comment must have at most 2000 characters"),
        ((("reasons", "price"),), "reasons must be among the ones offered"),
        ((), "score is missing"),
    ],
)
async def test_an_answer_that_breaks_a_rule_is_refused_and_nothing_of_it_kept(
    app: SurveyRoutes, pool: Pool, pairs: tuple[tuple[str, str], ...], title: str
) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    refused = await post(app, token, *pairs, as_json=True)
    assert (refused.status, refused.json["title"]) == (422, title)
    shown = await post(app, token, *pairs)
    assert (shown.status, shown.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert NOT_SAVED in shown.text
    assert await footprint(pool) == before


async def test_a_refused_details_form_keeps_what_was_ticked_and_written(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "2"))
    written = "<b>Låda</b> " + "å" * 2000
    shown = await post(app, token, ("part", "details"), ("reasons", "condition"), ("comment", written))
    assert shown.status == 422
    assert 'id="reason-condition" value="condition" checked' in shown.body.decode()
    assert "&lt;b&gt;Låda&lt;/b&gt; " + "å" * 2000 in shown.body.decode()
    assert app._views.nonce(token) in shown.text


@pytest.mark.parametrize(
    ("headers", "parts", "status"),
    [
        ([("content-length", "32769")], [b""], 413),
        ([("content-length", "9" * 4000)], [b""], 413),
        ([], [b"comment="] + [b"a" * 8192] * 4, 413),  # chunked
        ([("content-length", "10")], [b"comment=", b"a" * 32768], 413),  # a lie
        ([("content-length", "ten")], [b"score=4"], 422),
        ([("content-length", "-1")], [b"score=4"], 422),
        ([], [b"comment=%ff&score=4"], 422),
        ([], [b"\xff\xfe"], 422),
        ([], [b"&".join([b"a=1"] * 1000)], 422),
    ],
)
async def test_bodies_that_no_page_of_ours_sends_are_refused(
    app: SurveyRoutes, pool: Pool, headers: list[tuple[str, str]], parts: list[bytes], status: int
) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    for more in ([], [("accept", "application/json")]):
        reply = await ask(app, "POST", f"/r/{token}", headers=[("content-type", FORM), *headers, *more], parts=parts)
        assert reply.status == status
    assert await footprint(pool) == before


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_only_forms_are_read(app: SurveyRoutes, pool: Pool, kind: str) -> None:
    token = await invite(pool)
    body = f"nonce={app._views.nonce(token)}&score=4".encode()
    reply = await ask(app, "POST", f"/r/{token}", headers=[("content-type", kind)], parts=[body])
    assert reply.status == 422
    assert await pool.fetchval("SELECT count(*) FROM response") == 0


@pytest.mark.parametrize("letter", ["å", "\n", "ก", "\u095c", "字", "😀"])
async def test_a_form_with_two_thousand_letters_of_any_script_is_kept(
    app: SurveyRoutes, pool: Pool, letter: str
) -> None:
    token = await invite(pool)
    written = "a" + (letter * 1998).replace("\n", "\r\n") + "a"  # as browsers post lines
    filled = (
        ("part", "details"),
        *(
            ("reasons", reason)
            for reason in ("condition", "courtesy", "information", "on_time", "other", "right_place")
        ),
        *((f"q.{question}", "5") for question in ("courtesy", "time_kept", "expectation", "ease", "contactability")),
        *(("wants_contact", "1"), ("contact_name", letter * 120), ("contact_address", letter * 248 + "070123")),
    )
    assert (await post(app, token, ("score", "1"), ("comment", written), *filled)).status == 303
    assert await pool.fetchval("SELECT comment_sealed IS NOT NULL FROM response")


async def test_a_body_that_never_ends_is_given_up(
    app: SurveyRoutes, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_BODY_SECONDS", 0.1)
    token = await invite(pool)
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/r/{token}",
        "query_string": b"",
        "headers": [(b"content-type", FORM.encode()), (b"accept", b"application/json")],
    }
    sent: list[Any] = []

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, drip, send)
    assert sent[0]["status"] == 408
