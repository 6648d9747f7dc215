"""The inbox over HTTP: who sees what, what each step keeps, and what happens when two work on one case."""

import asyncio
import csv
import io
import json
import re
import uuid
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from schemas.feedback import FeedbackCase
from schemas.response import RatedParty, ResponseRecorded
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.chassis.staff import Member, Role
from services.survey.cases.changes import CaseChanges
from services.survey.cases.notice import CaseNotices
from services.survey.followup import FollowUp
from services.survey.recipient.page_models import CaseNotice
from services.survey.staff.directory import Directory
from tests.asgi import Reply, ask
from tests.caseload import ANNA, CASELOAD, LENA, MALTE, NOBODY, NOW, RIKARD, SECRET, app_of, fill, parts_of
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

CONTESTED, LATE, DAMAGED, NEIGHBOUR, *_ = range(10)


class Inbox:
    """The inbox as a browser without script uses it."""

    def __init__(self, pool: Pool, settings: Settings, numbers: list[str], now: Any = NOW) -> None:
        self.pool, self.settings, self.numbers, self.metrics = pool, settings, numbers, Metrics()
        self.app = app_of(parts_of(pool, settings, self.metrics, now), self.metrics)

    async def get(self, path: str, who: Any = ANNA) -> Reply:
        return await ask(self.app, "GET", path, headers=[("x-member", who.subject)] if who else [])

    async def post(self, path: str, who: Any = ANNA, *pairs: tuple[str, str], secret: str | None = None) -> Reply:
        given = f"{SECRET} {who.subject}" if secret is None else secret
        body = urlencode([("form_secret", given), *pairs]).encode()
        headers = [("x-member", who.subject), ("content-type", "application/x-www-form-urlencoded")]
        return await ask(self.app, "POST", path, headers=headers, parts=[body])

    async def act(self, case: int, action: str, revision: int = 1, who: Any = ANNA, **fields: Any) -> Reply:
        pairs = [("action", action), ("revision", str(revision)), *fields.items()]
        return await self.post(f"/cases/{self.numbers[case]}", who, *pairs)

    async def told(self, case: int) -> list[FeedbackCase]:
        rows = await self.pool.fetch("SELECT value FROM outbox WHERE topic = 'feedback.case.v1' ORDER BY id")
        events = [FeedbackCase.model_validate_json(r["value"]) for r in rows]
        wanted = f"00000000-0000-0000-0000-{case + 1:012x}"
        return [e for e in events if e.response_id == wanted]


@pytest.fixture
async def inbox(pool: Pool, settings: Settings) -> Inbox:
    return Inbox(pool, settings, await fill(pool, settings))


def listed(reply: Reply) -> list[str]:
    return re.findall(r'<li[^>]* data-number="([^"]+)"', reply.text)


RESOLVED = {"judgement": "late.own", "place": "terminal"}


# -- who sees what --


async def test_a_stranger_and_a_member_without_a_role_get_nothing(inbox: Inbox) -> None:
    paths = ["/cases", "/cases/export.csv", "/cases/events", f"/cases?case={inbox.numbers[0]}"]
    for path in paths:
        assert (await inbox.get(path, who=None)).status == 401
        reply = await inbox.get(path, NOBODY)
        assert (reply.status, "no role at any terminal" in reply.text) == (403, True)
        assert "Tiden sa" not in reply.text


async def test_members_see_the_cases_of_their_terminals_the_most_urgent_first(inbox: Inbox) -> None:
    n = inbox.numbers
    assert listed(await inbox.get("/cases")) == [n[0], n[1], n[2], n[4], n[5], n[7], n[9]]
    assert listed(await inbox.get("/cases", MALTE)) == [n[6]]
    assert listed(await inbox.get("/cases", LENA)) == n


async def test_cases_of_other_terminals_look_like_none_at_all(inbox: Inbox) -> None:
    bodies = set()
    for number in (inbox.numbers[6], "K-2222-2", "K-22222-2", "' or 1=1--", "%00", "K-2222-9"):
        reply = await inbox.get(f"/cases?case={number}")
        bodies.add((reply.status, reply.body))
    assert len(bodies) == 1
    assert bodies.pop()[0] == 404
    before = await footprint(inbox.pool)
    for path in (f"/cases/{inbox.numbers[6]}", f"/cases/{inbox.numbers[6]}/contact"):
        assert (await inbox.post(path, ANNA, ("action", "take"), ("revision", "1"))).status == 404
    assign = await inbox.post("/cases/assign", ANNA, ("case", inbox.numbers[6]), ("owner", ANNA.subject))
    assert assign.status == 404
    assert await footprint(inbox.pool) == before


async def test_a_reader_reads_no_comment_and_can_change_nothing(inbox: Inbox) -> None:
    reply = await inbox.get(f"/cases?case={inbox.numbers[LATE]}", RIKARD)
    assert "Tiden sa" not in reply.text
    assert "agents of Årsta can read it" in reply.text
    assert "No permission to change" in reply.text
    assert "<textarea" not in reply.text
    before = await footprint(inbox.pool)
    for action in ("take", "contact", "note", "assign"):
        refused = await inbox.act(LATE, action, who=RIKARD, note="x", owner=RIKARD.subject)
        assert (refused.status, 'role="alert"' in refused.text) == (403, True)
    assert (await inbox.post(f"/cases/{inbox.numbers[LATE]}/contact", RIKARD)).status == 403
    assert "Tiden sa" not in (await inbox.get("/cases/export.csv?tab=all", RIKARD)).text
    assert await footprint(inbox.pool) == before


async def test_looking_writes_nothing_and_is_not_kept_by_caches(inbox: Inbox) -> None:
    before = await footprint(inbox.pool)
    for path in ("/cases", f"/cases?case={inbox.numbers[LATE]}", "/cases?tab=all&q=14", "/cases/export.csv"):
        reply = await inbox.get(path)
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    assert await footprint(inbox.pool) == before


async def test_what_recipients_wrote_is_shown_as_text(inbox: Inbox) -> None:
    raw = (await inbox.get(f"/cases?case={inbox.numbers[9]}")).body.decode()
    assert "&lt;img src=x onerror=alert(1)&gt;" in raw
    assert "<img" not in raw
    assert "{{7*7}} &lt;/script&gt;&lt;script&gt;" in raw


@pytest.mark.parametrize(
    ("query", "cases"),
    [
        ("q=GRANNEN", [NEIGHBOUR]),
        ("q=%27+or+1%3D1--", [9]),
        ("q=%27%3B+DROP+TABLE+feedback_case%3B--", []),
        ("terminal=V%C3%A4xj%C3%B6", [NEIGHBOUR]),
        ("terminal=%27+or+1%3D1--", []),
        ("trigger=damaged", [DAMAGED]),
        ("trigger=contested", [CONTESTED]),
        ("tab=resolved", []),
        ("tab=mine", []),
        ("reason=on_time&day=2026-10-13", [LATE, 5]),
        ("tab=%27+or+1%3D1--&trigger=nonsense&day=x", list(range(10))),
    ],
)
async def test_the_address_filters_the_list(inbox: Inbox, query: str, cases: list[int]) -> None:
    assert listed(await inbox.get(f"/cases?{query}", LENA)) == [inbox.numbers[c] for c in cases]


async def test_an_empty_list_says_so(inbox: Inbox) -> None:
    assert "No cases here with these filters." in (await inbox.get("/cases?q=zzz")).text
    assert "No cases here." in (await inbox.get("/cases?tab=resolved", MALTE)).text


# -- working --


async def test_a_case_goes_from_open_to_resolved_with_one_event_and_one_line_each(inbox: Inbox) -> None:
    steps = [
        ("take", 1, {}),
        ("contact", 2, {"note": "Ringde 16:32. Förklarade stoppet i sorteringen."}),
        ("wait", 3, {}),
        ("resolve", 4, {**RESOLVED, "outcome": "Vi har ändrat lastningen.", "told": "1"}),
    ]
    for action, revision, fields in steps:
        reply = await inbox.act(LATE, action, revision, **fields)
        assert (reply.status, reply.headers["location"]) == (303, f"/cases?case={inbox.numbers[LATE]}")
    events = await inbox.told(LATE)
    assert [(e.revision, str(e.state)) for e in events] == [
        (1, "open"),
        (2, "open"),
        (3, "contacted"),
        (4, "waiting"),
        (5, "resolved"),
    ]
    last = events[-1]
    assert (last.cause, last.attribution, last.controllable, last.outcome_told) == ("late", "own", True, True)
    assert (last.contacted_at, last.resolved_at) == (NOW, NOW)
    page = (await inbox.get(f"/cases?tab=resolved&case={inbox.numbers[LATE]}")).text
    assert "Resolved, yours" in page
    assert "Ringde 16:32." in page
    lines = await inbox.pool.fetch("SELECT what, by_subject FROM case_entry WHERE revision > 1 ORDER BY entry_id")
    assert [tuple(r) for r in lines] == [(w, "s-anna") for w in ("assigned", "contacted", "waiting", "resolved")]
    stored = await everything_stored(inbox.pool)
    assert "Ringde" not in stored
    assert "lastningen" not in stored
    assert "Ringde" not in json.dumps([e.model_dump(mode="json") for e in events])


async def test_the_time_to_first_contact_is_measured_once(inbox: Inbox) -> None:
    await inbox.act(LATE, "contact")
    await inbox.act(LATE, "wait", 2)
    await inbox.act(LATE, "contact", 3)
    text = (await inbox.get("/metrics")).text
    assert "kvittera_case_first_contact_seconds_count 1.0" in text
    assert f"kvittera_case_first_contact_seconds_sum {22.8 * 3600}" in text


async def test_of_two_who_work_on_one_revision_the_second_is_told_and_keeps_the_words(inbox: Inbox) -> None:
    replies = await asyncio.gather(
        inbox.act(DAMAGED, "contact", note="Ringde."),
        inbox.act(DAMAGED, "note", who=LENA, note="Skrev ett brev.", place="route", judgement="missing.unclear"),
    )
    assert sorted(r.status for r in replies) == [303, 412]
    assert [e.revision for e in await inbox.told(DAMAGED)] == [1, 2]
    stale = await inbox.act(DAMAGED, "contact", 1, note="Mina ord", judgement="missing.unclear", place="route")
    assert stale.status == 412
    assert "Somebody else changed this case" in stale.text
    assert ">Mina ord</textarea>" in stale.text
    assert re.search(r'value="missing.unclear"[^>]* checked', stale.text)
    assert 'value="route" selected' in stale.text
    assert 'data-revision="2"' in stale.text


@pytest.mark.parametrize(
    ("action", "fields", "says"),
    [
        ("wait", {}, "cannot become waiting"),
        ("reopen", {}, "cannot become reopened"),
        ("resolve", RESOLVED, "wants to be contacted"),
        ("note", {}, "A note needs words"),
    ],
)
async def test_an_impossible_move_is_explained_and_keeps_nothing(
    inbox: Inbox, action: str, fields: dict[str, str], says: str
) -> None:
    before = await footprint(inbox.pool)
    reply = await inbox.act(LATE, action, 1, **fields)
    assert (reply.status, says in reply.text) == (409, True)
    assert await footprint(inbox.pool) == before


async def test_a_form_of_another_site_or_with_broken_fields_changes_nothing(inbox: Inbox) -> None:
    number = inbox.numbers[LATE]
    before = await footprint(inbox.pool)
    for path in (f"/cases/{number}", f"/cases/{number}/contact", f"/cases/{number}/rated", "/cases/assign"):
        for secret in ("", "guess", f"{SECRET} s-lena"):
            reply = await inbox.post(path, ANNA, ("action", "take"), ("revision", "1"), secret=secret)
            assert reply.status == 403
    for field, value in (
        ("action", "delete"),
        ("revision", "x"),
        ("revision", "9" * 40),
        ("place", "moon"),
        ("judgement", "late.nobody"),
        ("note", "x" * 2001),
        ("owner", "s-stranger"),
        ("note", "x" * 70_000),
    ):
        pairs = {"action": "take", "revision": "1", field: value}
        assert (await inbox.post(f"/cases/{number}", ANNA, *pairs.items())).status == 422
    assert await footprint(inbox.pool) == before


async def test_contact_data_is_shown_once_the_view_is_noted(inbox: Inbox) -> None:
    path = f"/cases/{inbox.numbers[LATE]}/contact"
    assert "Elin Sandahl" not in (await inbox.get(f"/cases?case={inbox.numbers[LATE]}")).text
    shown = (await inbox.post(path, ANNA)).text
    assert "Elin Sandahl" in shown
    assert "070-174 06 12" in shown
    assert "Contact details shown" in shown
    rows = await inbox.pool.fetch("SELECT subject, member, response_id::text, reason FROM contact_view")
    assert [tuple(r) for r in rows] == [("s-anna", "Anna L.", "00000000-0000-0000-0000-000000000002", "case")]
    gone = await inbox.post(f"/cases/{inbox.numbers[4]}/contact", ANNA)
    assert "No contact details are kept" in gone.text
    assert await inbox.pool.fetchval("SELECT count(*) FROM contact_view") == 1


async def test_a_lead_gives_many_cases_to_one_member_all_or_none(inbox: Inbox) -> None:
    await inbox.act(CONTESTED, "take")
    chosen = [("case", inbox.numbers[n]) for n in (2, 3, 4, 8)]
    reply = await inbox.post("/cases/assign", LENA, *chosen, ("owner", ANNA.subject), ("view_tab", "all"))
    assert (reply.status, reply.headers["location"]) == (303, "/cases?tab=all")
    owned = await inbox.pool.fetch("SELECT serial FROM feedback_case WHERE owner = 's-anna' ORDER BY serial")
    assert [r["serial"] for r in owned] == [1, 3, 4, 5, 9]
    assert [e.revision for e in await inbox.told(3)] == [1, 2]
    before = await footprint(inbox.pool)
    assert (await inbox.post("/cases/assign", ANNA, ("case", inbox.numbers[1]), ("owner", ANNA.subject))).status == 403
    for pairs in ([("owner", "s-anna")], [chosen[0]], [("case", "K-2222-2"), chosen[0], ("owner", "s-anna")]):
        assert (await inbox.post("/cases/assign", LENA, *pairs)).status in {404, 422}
    assert await footprint(inbox.pool) == before


async def test_a_case_can_be_given_to_who_signed_in_lately_and_may_work_here(inbox: Inbox) -> None:
    directory = Directory(inbox.pool, lambda: NOW)
    for member in (ANNA, RIKARD, MALTE, NOBODY):
        await directory.note(member)
    await Directory(inbox.pool, lambda: NOW - timedelta(days=91)).note(replace(ANNA, subject="s-long-ago"))
    arsta = Member("s-chief", "Chief C.", {"Årsta": Role.LEAD})
    desk = parts_of(inbox.pool, inbox.settings, Metrics()).desk
    assert set(await desk.cases.owners(arsta)) == {"s-chief", "s-anna"}
    assert set(await desk.cases.owners(LENA)) == {"s-lena", "s-anna", "s-malte"}
    chosen = (("case", inbox.numbers[DAMAGED]), ("owner", "s-anna"))
    assert (await inbox.post("/cases/assign", LENA, *chosen)).status == 303
    await directory.note(replace(ANNA, roles={}))
    assert "s-malte" in await desk.cases.owners(LENA)
    assert set(await directory.working(None)) == {"s-malte"}


async def test_the_export_holds_the_view_and_runs_in_no_spreadsheet(inbox: Inbox) -> None:
    reply = await inbox.get("/cases/export.csv?q=onerror")
    assert reply.headers["content-type"].startswith("text/csv")
    assert "attachment" in reply.headers["content-disposition"]
    [_, row] = csv.reader(io.StringIO(reply.body.decode(), newline=""))
    assert row[0] == inbox.numbers[9]
    assert row[6] == "<img src=x onerror=alert(1)> =1+1 ' or 1=1--"
    everything = await inbox.get("/cases/export.csv?tab=all", LENA)
    assert len(list(csv.reader(io.StringIO(everything.body.decode(), newline="")))) == 11


async def test_a_lead_says_that_an_answer_is_about_the_shop_and_the_answer_is_told_anew(inbox: Inbox) -> None:
    path = f"/cases/{inbox.numbers[DAMAGED]}/rated"
    shop = (("rated", "shop"), ("why", "goods"))
    assert (await inbox.post(path, ANNA, *shop)).status == 403
    assert (await inbox.post(path, LENA, ("rated", "moon"), ("why", "goods"))).status == 422
    assert (await inbox.post(path, LENA, ("rated", "shop"), ("why", "Elin Sandahl"))).status == 422
    assert await inbox.pool.fetchval("SELECT count(*) FROM relabelling") == 0
    assert 'name="rated"' not in (await inbox.get(f"/cases?case={inbox.numbers[DAMAGED]}")).text
    assert 'value="carrier" selected' in (await inbox.get(f"/cases?case={inbox.numbers[DAMAGED]}", LENA)).text
    assert (await inbox.post(path, LENA, *shop)).status == 303
    assert (await inbox.post(path, LENA, *shop)).status == 303
    events = await inbox.pool.fetch("SELECT value FROM outbox WHERE topic = 'response.recorded.v1'")
    [event] = [ResponseRecorded.model_validate_json(r["value"]) for r in events]
    assert (event.revision, event.rated, event.score) == (2, RatedParty.SHOP, 1)
    reaction = parts_of(inbox.pool, inbox.settings, Metrics()).reaction
    async with inbox.pool.acquire() as connection, connection.transaction():
        await FollowUp([reaction])(connection, [Received(event, None, NOW)])
    page = (await inbox.get(f"/cases?case={inbox.numbers[DAMAGED]}", LENA)).text
    assert 'value="shop" selected' in page
    assert "Lena L.. The shop. It is about the goods" in page
    assert "Answer changed" not in page


async def test_staff_tell_a_complaint_from_a_viewpoint_with_any_step(inbox: Inbox) -> None:
    await inbox.act(LATE, "contact", nature="viewpoint")
    await inbox.act(LATE, "resolve", 2, **RESOLVED)
    assert [e.nature for e in await inbox.told(LATE)] == [None, "viewpoint", "viewpoint"]
    assert 'value="viewpoint" selected' in (await inbox.get(f"/cases?tab=resolved&case={inbox.numbers[LATE]}")).text
    assert "General viewpoint" in (await inbox.get("/cases/export.csv?tab=all")).text
    assert (await inbox.act(LATE, "note", 3, note="x", nature="moon")).status == 422


async def test_words_to_the_person_leave_only_when_the_box_is_ticked(inbox: Inbox) -> None:
    await inbox.act(LATE, "contact", outcome="Vi har lagt om rutten.")
    assert await inbox.pool.fetchval("SELECT count(*) FROM outcome_message") == 0
    assert (await inbox.act(LATE, "note", 2, note="x", send="1")).status == 409
    assert (await inbox.act(LATE, "note", 2, note="x", outcome="Vi har lagt om rutten.", send="1")).status == 303
    assert await inbox.pool.fetchval("SELECT state FROM outcome_message") == "planned"
    assert (
        "Words to the person are on their way."
        in (await inbox.get(f"/cases?tab=contacted&case={inbox.numbers[LATE]}")).text
    )


# -- the recipient's side --


async def test_the_recipient_is_told_who_reads_the_answer_until_when_while_the_deadline_runs(inbox: Inbox) -> None:
    def of(case: int, now: datetime = NOW) -> Awaitable[CaseNotice | None]:
        return CaseNotices(inbox.pool, lambda: now)(uuid.UUID(int=case + 1), "Nordposten Demo")

    due = datetime(2026, 10, 14, 15, 43, tzinfo=UTC)
    told = CaseNotice(inbox.numbers[LATE], "Nordposten Demo, Årsta", due, contact_promised=True)
    assert await of(LATE) == told
    unplaced = await of(8)
    assert unplaced is not None
    assert (unplaced.reader, unplaced.contact_promised) == ("Nordposten Demo", False)
    assert await of(LATE, due + timedelta(seconds=1)) is None
    assert await of(99) is None
    await inbox.act(LATE, "contact")
    assert await of(LATE) is None


# -- live --


async def test_watchers_hear_of_changes_of_their_terminals_from_one_query_a_look(inbox: Inbox) -> None:
    changes = CaseChanges(inbox.pool, Metrics(), lambda: NOW)
    anna, malte = changes.events(ANNA), changes.events(MALTE)
    assert await anext(anna) == await anext(malte) == b'event: tick\ndata: {"as_of":null}\n\n'
    heard = [asyncio.ensure_future(anext(anna)), asyncio.ensure_future(anext(malte))]
    await inbox.act(LATE, "take")
    await asyncio.sleep(0)
    await changes.look()
    assert await heard[1] == b'event: tick\ndata: {"as_of":"2026-10-14T14:31:00+00:00"}\n\n'
    told = json.loads((await heard[0]).partition(b"data: ")[2])
    assert told["cases"] == {inbox.numbers[9]: 1, inbox.numbers[LATE]: 2} or told["cases"] == {inbox.numbers[LATE]: 2}
    again = asyncio.ensure_future(anext(anna))
    await asyncio.sleep(0)
    await changes.look()
    assert (await again).startswith(b"event: tick")
    assert changes.watchers == 2
    await anna.aclose()
    await malte.aclose()
    assert changes.watchers == 0


async def test_the_gauges_tell_cases_by_state_and_how_many_are_overdue(inbox: Inbox) -> None:
    await inbox.act(DAMAGED, "contact")
    metrics = Metrics()
    await CaseChanges(inbox.pool, metrics, lambda: NOW + timedelta(hours=1)).measure()
    read = metrics.registry.get_sample_value
    states = {s: read("kvittera_cases", {"state": s}) for s in ("open", "contacted", "waiting", "reopened")}
    assert states == {"open": 9, "contacted": 1, "waiting": 0, "reopened": 0}
    assert read("kvittera_cases_overdue") == 1
    assert len(CASELOAD) == 10


@pytest.mark.parametrize(("days", "age"), [(5, "week"), (20, "month"), (60, "older")])
async def test_the_gauges_tell_cases_by_age(inbox: Inbox, days: int, age: str) -> None:
    metrics = Metrics()
    await CaseChanges(inbox.pool, metrics, lambda: NOW + timedelta(days=days)).measure()
    ages = {
        a: metrics.registry.get_sample_value("kvittera_cases_by_age", {"age": a})
        for a in ("day", "week", "month", "older")
    }
    assert ages == {"day": 0, "week": 0, "month": 0, "older": 0} | {age: 10}
