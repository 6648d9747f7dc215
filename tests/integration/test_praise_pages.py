"""The queue of praise over HTTP: who sees what, and which forms count."""

import re
from urllib.parse import quote, urlencode

import pytest
from starlette.applications import Starlette

from services.chassis.postgres import Pool
from services.chassis.staff import Member
from tests.asgi import Reply, ask
from tests.members import AGENT, LEAD
from tests.praising import pages_of, praised

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def app(pool: Pool) -> Starlette:
    return pages_of(pool)


async def post(app: Starlette, path: str, member: Member, **fields: str) -> Reply:
    form = {"form_secret": f"secret of {member.subject}", **fields}
    headers = [("x-member", member.subject), ("content-type", "application/x-www-form-urlencoded")]
    return await ask(app, "POST", path, headers=headers, parts=[urlencode(form).encode()])


async def test_the_queue_shows_masked_words_deadline_and_what_this_member_may_do(pool: Pool, app: Starlette) -> None:
    await praised(pool)
    page = await ask(app, "GET", "/praise", headers=[("x-member", "agent-1")])
    assert page.status == 200
    assert '<span class="mask">phone</span>' in page.text
    assert "174 06 05" not in page.text
    assert "Late, was due 14 Oct 06:00" in page.text
    assert "Passed on to the one who did it" in page.text
    assert "Swedish" in page.text
    reader = await ask(app, "GET", "/praise", headers=[("x-member", "reader-1")])
    assert "Passed on to the one who did it" not in reader.text


async def test_the_queue_goes_on_page_by_page_without_losing_or_repeating_any(
    pool: Pool, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.survey.praise.desk.PAGE", 2)
    given = {str(await praised(pool)) for _ in range(5)}
    seen: list[str] = []
    path = "/praise?show=waiting"
    for _ in range(3):
        page = (await ask(app, "GET", path, headers=[("x-member", LEAD.subject)])).text
        seen += re.findall(r'<li(?: class="chosen")?><a href="/praise\?show=waiting&id=([0-9a-f-]{36})"', page)
        found = re.search(r'class="further"><a href="([^"]+)"', page)
        path = found[1] if found else ""
    assert (len(seen), set(seen), path) == (5, given, "")
    for wrong in ("x", "0001-01-01T00:00:00+14:00 " + seen[0], "2026-10-13T12:00:00 " + seen[0], "%00"):
        assert (
            await ask(app, "GET", f"/praise?after={quote(wrong)}", headers=[("x-member", LEAD.subject)])
        ).status == 200


async def test_strangers_are_turned_away(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    assert (await ask(app, "GET", "/praise")).status == 401
    assert (await ask(app, "POST", f"/praise/{praise_id}")).status == 401
    assert (await ask(app, "GET", f"/praise?id={praise_id}", headers=[("x-member", "lead-2")])).status == 404


async def test_a_form_without_the_members_secret_does_nothing(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    refused = await post(app, f"/praise/{praise_id}", AGENT, act="pass_on", revision="1", form_secret="guessed")
    assert refused.status == 403
    assert await pool.fetchval("SELECT state FROM praise") == "waiting"


async def test_the_pages_forms_pass_on_and_approve_with_more_masks(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    assert (await post(app, f"/praise/{praise_id}", LEAD, act="pass_on", revision="1")).status == 303
    outdated = await post(app, f"/praise/{praise_id}", LEAD, act="decline", revision="1")
    assert outdated.headers["location"].endswith("notice=outdated")
    assert (await post(app, f"/praise/{praise_id}", LEAD, act="approve", revision="2", mask="6")).status == 303
    row = await pool.fetchrow("SELECT state, masks FROM praise")
    assert row is not None
    assert (row["state"], row["masks"]) == ("on_board", [6])
    assert (await post(app, f"/praise/{praise_id}/driver", AGENT, declines="1")).status == 303
    assert await pool.fetchval("SELECT count(*) FROM driver_opt_out") == 1


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/praise/not-an-id", {"act": "pass_on", "revision": "1"}, 404),
        ("/praise/00000000-0000-4000-8000-000000000000", {"act": "pass_on", "revision": "1"}, 404),
        ("/praise/00000000-0000-4000-8000-000000000000", {"act": "delete", "revision": "1"}, 422),
        ("/praise/00000000-0000-4000-8000-000000000000", {"act": "pass_on", "revision": "-1"}, 422),
    ],
)
async def test_wrong_forms_are_refused(app: Starlette, path: str, fields: dict[str, str], status: int) -> None:
    assert (await post(app, path, LEAD, **fields)).status == status
