"""The inbox over HTTP: who sees what, and what recipients, watchers and gauges are told of it."""

import asyncio
import csv
import io
import json
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest

from services.chassis.metrics import Metrics
from services.survey.cases.changes import CaseChanges
from services.survey.cases.notice import CaseNotices
from services.survey.recipient.page_models import CaseNotice
from tests.case_inbox import CONTESTED, DAMAGED, LATE, NEIGHBOUR, Inbox, inbox, listed
from tests.caseload import ANNA, CASELOAD, LENA, MALTE, NOBODY, NOW, RIKARD
from tests.tables import footprint

__all__ = ["inbox"]

pytestmark = pytest.mark.service("survey")


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
    assign = await inbox.assign({6: 1}, ANNA.subject)
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


async def test_the_export_holds_the_view_and_runs_in_no_spreadsheet(inbox: Inbox) -> None:
    reply = await inbox.get("/cases/export.csv?q=onerror")
    assert reply.headers["content-type"].startswith("text/csv")
    assert "attachment" in reply.headers["content-disposition"]
    [_, row] = csv.reader(io.StringIO(reply.body.decode(), newline=""))
    assert row[0] == inbox.numbers[9]
    assert row[6] == "<img src=x onerror=alert(1)> =1+1 ' or 1=1--"
    everything = await inbox.get("/cases/export.csv?tab=all", LENA)
    assert len(list(csv.reader(io.StringIO(everything.body.decode(), newline="")))) == 11


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
