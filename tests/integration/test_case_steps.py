"""Working on cases in the inbox: what each step keeps, and what happens when two work on one case."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.response import RatedParty, ResponseRecorded
from services.chassis.metrics import Metrics
from services.chassis.records import Received
from services.chassis.staff import Member, Role
from services.survey.followup import FollowUp
from services.survey.staff.directory import Directory
from tests.case_inbox import CONTESTED, DAMAGED, LATE, RESOLVED, Inbox, inbox
from tests.caseload import ANNA, LENA, MALTE, NOBODY, NOW, RIKARD, SECRET, parts_of
from tests.tables import everything_stored, footprint

__all__ = ["inbox"]

pytestmark = pytest.mark.service("survey")


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


@pytest.mark.parametrize(("action", "revision", "status"), [("note", 1, 412), ("resolve", 2, 409)])
@pytest.mark.parametrize("box", ["send", "told"])
async def test_a_ticked_box_is_kept_with_the_words_where_nothing_was_saved(
    inbox: Inbox, action: str, revision: int, status: int, box: str
) -> None:
    await inbox.act(LATE, "take")
    words = {**RESOLVED, "note": "Skrev.", "outcome": "Vi har lagt om rutten."}
    reply = await inbox.act(LATE, action, revision, **words, **{box: "1"})
    assert reply.status == status
    assert re.findall(r'type="checkbox" name="(send|told)" value="1" checked', reply.text) == [box]
    fresh = await inbox.get(f"/cases?case={inbox.numbers[LATE]}")
    assert re.findall(r'type="checkbox" name="(send|told)" value="1">', fresh.text) == ["send", "told"]


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
    reply = await inbox.assign({2: 1, 3: 1, 4: 1, 8: 1}, ANNA.subject, LENA, view_tab="all")
    assert (reply.status, reply.headers["location"]) == (303, "/cases?tab=all")
    owned = await inbox.pool.fetch("SELECT serial FROM feedback_case WHERE owner = 's-anna' ORDER BY serial")
    assert [r["serial"] for r in owned] == [1, 3, 4, 5, 9]
    assert [e.revision for e in await inbox.told(3)] == [1, 2]
    before = await footprint(inbox.pool)
    assert (await inbox.assign({1: 1}, ANNA.subject)).status == 403
    chosen = ("case", f"{inbox.numbers[3]}:2")
    for pairs in (
        [("owner", "s-anna")],
        [chosen],
        [("case", inbox.numbers[3]), ("owner", "s-anna")],
        [("case", "K-2222-2:1"), chosen, ("owner", "s-anna")],
    ):
        assert (await inbox.post("/cases/assign", LENA, *pairs)).status in {404, 422}
    assert await footprint(inbox.pool) == before


async def test_of_cases_given_together_none_is_given_when_somebody_else_changed_one_since_the_list_was_shown(
    inbox: Inbox,
) -> None:
    await inbox.act(DAMAGED, "take")
    before = await footprint(inbox.pool)
    stale = await inbox.assign({CONTESTED: 1, LATE: 1, DAMAGED: 1}, LENA.subject, LENA)
    assert (stale.status, "so none was given to anybody" in stale.text) == (412, True)
    assert await footprint(inbox.pool) == before
    ticked = re.findall(r'name="case" value="([^"]*)" form="bulk" checked', stale.text)
    assert ticked == [f"{inbox.numbers[n]}:1" for n in (CONTESTED, LATE)]
    assert f'value="{inbox.numbers[DAMAGED]}:2" form="bulk">' in stale.text
    assert re.search(r'id="bulk-owner".*<option value="s-lena" selected>', stale.text)
    assert (await inbox.assign({CONTESTED: 1, LATE: 1, DAMAGED: 2}, LENA.subject, LENA)).status == 303


async def test_a_case_can_be_given_to_who_signed_in_lately_and_may_work_here(inbox: Inbox) -> None:
    directory = Directory(inbox.pool, lambda: NOW)
    for member in (ANNA, RIKARD, MALTE, NOBODY):
        await directory.note(member)
    await Directory(inbox.pool, lambda: NOW - timedelta(days=91)).note(replace(ANNA, subject="s-long-ago"))
    arsta = Member("s-chief", "Chief C.", {"Årsta": Role.LEAD})
    desk = parts_of(inbox.pool, inbox.settings, Metrics()).desk
    assert set(await desk.cases.owners(arsta)) == {"s-chief", "s-anna"}
    assert set(await desk.cases.owners(LENA)) == {"s-lena", "s-anna", "s-malte"}
    assert (await inbox.assign({DAMAGED: 1}, "s-anna", LENA)).status == 303
    await directory.note(replace(ANNA, roles={}))
    assert "s-malte" in await desk.cases.owners(LENA)
    assert set(await directory.working(None)) == {"s-malte"}


async def test_a_lead_says_that_an_answer_is_about_the_shop_and_the_answer_is_told_anew(inbox: Inbox) -> None:
    path = f"/cases/{inbox.numbers[DAMAGED]}/rated"
    shop = (("rated", "shop"), ("why", "goods"), ("revision", "1"))
    assert (await inbox.post(path, ANNA, *shop)).status == 403
    assert (await inbox.post(path, LENA, ("rated", "moon"), *shop[1:])).status == 422
    assert (await inbox.post(path, LENA, ("rated", "shop"), ("why", "Elin Sandahl"), shop[2])).status == 422
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


async def test_of_two_who_say_whom_an_answer_is_about_the_second_sees_the_first_before_it_is_changed_again(
    inbox: Inbox,
) -> None:
    path, shown = f"/cases/{inbox.numbers[DAMAGED]}/rated", f"/cases?case={inbox.numbers[DAMAGED]}"
    said = [(("rated", party), ("why", "goods"), ("revision", "1")) for party in ("shop", "service_point")]
    replies = await asyncio.gather(*(inbox.post(path, LENA, *pairs) for pairs in said))
    assert sorted(r.status for r in replies) == [303, 412]
    assert await inbox.pool.fetchval("SELECT count(*) FROM relabelling") == 1
    [stale] = [r for r in replies if r.status == 412]
    assert "Somebody else changed this case" in stale.text
    form = (await inbox.get(shown, LENA)).text.partition(path)[2]
    assert re.findall(r'name="revision" value="(\d+)"', form) == ["2"]
    assert (await inbox.post(path, LENA, ("rated", "carrier"), ("why", "put_back"), ("revision", "2"))).status == 303


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
