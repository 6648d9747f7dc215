"""Taps at a kiosk: answers that nobody was invited to."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from services.chassis.postgres import Pool, named_sql
from services.chassis.settings import Settings
from services.survey.api.keys import Scope
from tests.programs import TAPS, TORGET, Clock, application, is_problem, new_key, send
from tests.survey_app import told

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(pool: Pool, settings: Settings, clock: Clock) -> ASGIApp:
    return application(pool, settings, clock)


async def test_a_tap_is_an_answer_that_nobody_was_invited_to(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    reply = await send(app, "POST", TAPS, {"score": 4, "language": "fi"}, key=kiosk)
    assert (reply.status, reply.json["revision"]) == (201, 1)
    [event] = await told(pool)
    assert (event.response_id, event.invited, event.invitation_id) == (reply.json["id"], False, None)
    assert (event.score, event.channel, event.language, event.survey) == (4, "kiosk", "fi", "shop_pickup.v1")
    facts = event.delivery
    assert facts.delivery_id == f"kiosk:{event.response_id}"
    assert (facts.service_point, facts.carrier, facts.country) == ("Torget Spel & Tobak", "Nordposten Demo", "SE")
    assert (facts.method, facts.touchpoint, facts.zone) == ("service_point", "shop_pickup", "Europe/Stockholm")
    assert facts.occurred_at == event.answered_at
    assert await pool.fetchval("SELECT count(*) FROM response") == 0


async def test_quick_taps_at_one_kiosk_are_one_person(app: ASGIApp, pool: Pool, clock: Clock) -> None:
    here, there = [await new_key(pool, Scope.KIOSK, place=TORGET) for _ in range(2)]
    first = await send(app, "POST", TAPS, {"score": 1}, key=here)
    elsewhere = await send(app, "POST", TAPS, {"score": 5}, key=there)
    again = await send(app, "POST", TAPS, {"score": 1}, key=here)
    corrected = await send(app, "POST", TAPS, {"score": 2}, key=here)
    assert [r.json["revision"] for r in (first, again, corrected, elsewhere)] == [1, 1, 2, 1]
    assert first.json["id"] == again.json["id"] == corrected.json["id"] != elsewhere.json["id"]
    clock.ahead = timedelta(seconds=4)
    next_person = await send(app, "POST", TAPS, {"score": 2}, key=here)
    assert next_person.json["id"] != first.json["id"]
    mine = [(e.revision, e.score) for e in await told(pool) if e.response_id == first.json["id"]]
    assert mine == [(1, 1), (2, 2)]


async def test_each_tap_has_its_line(pool: Pool, settings: Settings, clock: Clock) -> None:
    app, kiosk = application(pool, settings, clock, lines=50), await new_key(pool, Scope.KIOSK, place=TORGET)
    with capture_logs() as lines:
        [kept, _] = [await send(app, "POST", TAPS, {"score": score}, key=kiosk) for score in (1, 2)]
    told = [line for line in lines if line["event"] == "answered"]
    assert [(line["delivery_id"], line["channel"], line["result"], line["kept"]) for line in told] == [
        (f"kiosk:{kept.json['id']}", "kiosk", "kept", True)
    ] * 2
    assert [line["revision"] for line in told] == [1, 2]


async def test_taps_at_the_same_moment_are_one_person(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    replies = await asyncio.gather(*(send(app, "POST", TAPS, {"score": n % 5 + 1}, key=kiosk) for n in range(10)))
    assert len({r.json["id"] for r in replies}) == 1
    revisions = [e.revision for e in await told(pool)]
    assert revisions == list(range(1, max(r.json["revision"] for r in replies) + 1))


async def test_the_audit_knows_taps_as_acknowledged_answers(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    tapped = uuid.UUID((await send(app, "POST", TAPS, {"score": 4}, key=kiosk)).json["id"])
    sql = named_sql("services.survey")
    assert [tuple(r.values()) for r in await pool.fetch(sql["acknowledged"])] == [(tapped, 1, 4, False)]
    assert await pool.fetchval(sql["acknowledged_among"], [tapped, uuid.uuid4()], [1, 1]) == 1


def of(person: str, tap: int) -> list[tuple[str, str]]:
    """The header that says whose tap it is."""
    return [("visit", f"{person}-0b51f0c6-7c1e/{tap}")]


async def test_taps_that_a_kiosk_sends_late_and_together_are_those_of_their_people(app: ASGIApp, pool: Pool) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    taps = [("anna", 1, 5), ("bo", 2, 1), ("bo", 3, 2), ("cai", 1, 4), ("bo", 1, 5), ("dea", 1, 4)]
    replies = [
        await send(app, "POST", TAPS, {"score": score}, key=kiosk, headers=of(person, tap))
        for person, tap, score in taps
    ]
    assert [r.json["revision"] for r in replies] == [1, 1, 2, 1, 2, 1]
    people = [r.json["id"] for r in replies]
    assert people[1] == people[2] == people[4]
    assert len(set(people)) == 4
    last = {e.response_id: e.score for e in await told(pool)}
    assert [last[person] for person in dict.fromkeys(people)] == [5, 2, 4, 4]


async def test_a_visit_at_another_kiosk_is_another_person(app: ASGIApp, pool: Pool) -> None:
    here, there = [await new_key(pool, Scope.KIOSK, place=TORGET) for _ in range(2)]
    replies = [await send(app, "POST", TAPS, {"score": 4}, key=kiosk, headers=of("anna", 1)) for kiosk in (here, there)]
    assert replies[0].json["id"] != replies[1].json["id"]


async def test_a_person_stays_one_however_far_apart_the_taps_come(app: ASGIApp, pool: Pool, clock: Clock) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    first = await send(app, "POST", TAPS, {"score": 2}, key=kiosk, headers=of("anna", 1))
    clock.ahead = timedelta(seconds=40)
    third = await send(app, "POST", TAPS, {"score": 4}, key=kiosk, headers=of("anna", 3))
    assert (third.json["id"], third.json["revision"]) == (first.json["id"], 2)


async def test_taps_that_name_no_visit_are_told_apart_by_their_arrival(app: ASGIApp, pool: Pool, clock: Clock) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    first = await send(app, "POST", TAPS, {"score": 1}, key=kiosk, headers=of("anna", 1))
    second = await send(app, "POST", TAPS, {"score": 2}, key=kiosk)
    clock.ahead = timedelta(seconds=4)
    third = await send(app, "POST", TAPS, {"score": 2}, key=kiosk)
    assert first.json["id"] == second.json["id"] != third.json["id"]


@pytest.mark.parametrize(
    "wrong", ["", "1", "4711/1", "a" * 16, "a" * 16 + "/0", "a" * 16 + "/x", "a" * 65 + "/1", "å" * 16 + "/1"]
)
async def test_a_visit_that_is_not_well_formed_is_refused(app: ASGIApp, pool: Pool, wrong: str) -> None:
    kiosk = await new_key(pool, Scope.KIOSK, place=TORGET)
    assert is_problem(await send(app, "POST", TAPS, {"score": 1}, key=kiosk, headers=[("visit", wrong)]), 422)
    assert await told(pool) == []
