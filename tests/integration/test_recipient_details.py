"""What goes with the face: follow-up answers, comments, contact wishes, contested parcels, and whom it is about."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.recipient import DeliveryContested
from schemas.response import RatedParty
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.answers.relabelling import Relabelling
from services.survey.answers.responses import token_hash
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.page_reader import Page
from tests.survey_app import SEAL, invite, post, told
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

PERSON = "5e" * 16


async def contested(pool: Pool) -> list[DeliveryContested]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'delivery.contested.v1' ORDER BY id")
    return [DeliveryContested.model_validate_json(r["value"]) for r in rows]


# -- what is asked --


@pytest.mark.parametrize(
    ("delivery", "asked"),
    [
        ({}, "home.v1"),
        ({"touchpoint": "locker"}, "locker.v1"),
        ({"touchpoint": "locker", "exceptions": ["damaged"]}, "damaged.v1"),
    ],
)
async def test_the_survey_is_chosen_once_and_goes_with_the_answer(
    app: SurveyRoutes, pool: Pool, delivery: dict[str, Any], asked: str
) -> None:
    token = await invite(pool, delivery=delivery)
    await post(app, token, ("score", "4"))
    [event] = await told(pool)
    assert (event.survey, event.rated, event.invited) == (asked, RatedParty.CARRIER, True)


# -- follow-up answers --


async def test_follow_up_answers_merge_one_by_one_and_the_smiley_stays(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    await post(app, token, ("q.courtesy", "5"), ("q.ideal", "10"))
    await post(app, token, ("q.courtesy", "2"), ("q.time_kept", "1"), ("q.ease", ""))
    again = await post(app, token, ("q.ideal", "10"), as_json=True)
    assert again.json == {"revision": 3}
    assert [(e.revision, e.score, e.follow_ups) for e in await told(pool)] == [
        (1, 4, {}),
        (2, 4, {"courtesy": 5, "ideal": 10}),
        (3, 4, {"courtesy": 2, "time_kept": 1, "ideal": 10}),
    ]
    shown = await ask(app, "GET", f"/r/{token}?edit=1&lang=sv")
    assert 'name="q.courtesy" value="2" checked' in shown.text


async def test_a_follow_up_answer_can_be_taken_back_and_only_once(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"), ("q.ideal", ""))
    await post(app, token, ("part", "details"), ("q.courtesy", "5"), ("q.ideal", "10"))
    await post(app, token, ("part", "details"), ("q.courtesy", ""))
    again = await post(app, token, ("part", "details"), ("q.courtesy", ""), as_json=True)
    assert again.json == {"revision": 3}
    assert [(e.revision, e.follow_ups) for e in await told(pool)] == [
        (1, {}),
        (2, {"courtesy": 5, "ideal": 10}),
        (3, {"ideal": 10}),
    ]
    shown = await ask(app, "GET", f"/r/{token}?edit=1&lang=sv")
    assert 'name="q.courtesy" value="5" checked' not in shown.text


@pytest.mark.parametrize(("name", "value"), [("courtesy", "6"), ("courtesy", "0"), ("ideal", "11"), ("ideal", "1.5")])
async def test_a_follow_up_answer_outside_its_scale_is_refused(
    app: SurveyRoutes, pool: Pool, name: str, value: str
) -> None:
    token = await invite(pool)
    refused = await post(app, token, ("score", "4"), (f"q.{name}", value), as_json=True)
    assert (refused.status, refused.json["title"].partition(" ")[0]) == (422, f"q.{name}")
    assert await told(pool) == []


# -- comments --


async def test_the_same_comment_again_is_no_new_revision_and_another_one_is(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    replies = [
        await post(app, token, ("comment", c), as_json=True) for c in ("Blöt", "Blöt", " Blöt\r\n", "Torr", "Blöt")
    ]
    assert [r.json["revision"] for r in replies] == [1, 1, 1, 2, 3]
    sealed, digest = await pool.fetchrow("SELECT comment_sealed, comment_digest FROM response") or (b"", b"")
    assert SEAL.open(sealed, token_hash(token).hex()) == "Blöt"
    other = await invite(pool, delivery={"delivery_id": "D-2"})
    await post(app, other, ("comment", "Blöt"))
    digests = {r[0] for r in await pool.fetch("SELECT comment_digest FROM response")}
    assert len(digests) == 2  # two people who write the same cannot be told from it
    assert digest in digests


# -- "I did not get the parcel" --


async def test_a_contested_parcel_is_told_with_its_proof_and_can_be_taken_back(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, delivery={"proof_of_delivery": "POD-7"})
    for pair in (("contested", "1"), ("contested", "1"), ("score", "5"), ("contested", "0"), ("contested", "0")):
        await post(app, token, pair)
    await post(app, token, ("contested", "1"))
    events = await told(pool)
    assert [(e.revision, e.score, e.contested) for e in events] == [
        (1, None, True),
        (2, 5, True),
        (3, 5, False),
        (4, 5, True),
    ]
    disputes = await contested(pool)
    assert [(d.revision, d.withdrawn) for d in disputes] == [(1, False), (2, True), (3, False)]
    assert {(d.delivery_id, d.response_id, d.proof_of_delivery) for d in disputes} == {
        ("D-1", events[0].response_id, "POD-7")
    }
    assert disputes[0].contested_at == events[0].answered_at
    keys = await pool.fetch("SELECT DISTINCT key FROM outbox WHERE topic = 'delivery.contested.v1'")
    assert [k[0] for k in keys] == [b"D-1"]


async def test_answer_and_dispute_are_stored_together_or_not_at_all(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await pool.execute("ALTER TABLE outbox ADD CONSTRAINT refuse CHECK (topic <> 'delivery.contested.v1')")
    assert (await post(app, token, ("contested", "1"), as_json=True)).status == 503
    assert await pool.fetchval("SELECT count(*) FROM response") == 0
    assert await told(pool) == []


# -- contact wishes --

WISH = (
    ("part", "details"),
    ("wants_contact", "1"),
    ("contact_name", "Åsa CANARY-1"),
    ("contact_address", "070-174 06 34"),
)


async def test_a_contact_wish_is_kept_apart_sealed_and_told_to_nobody(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "1"))
    await post(app, token, *WISH)
    [row] = await pool.fetch("SELECT * FROM contact_wish")
    [_, event] = await told(pool)
    assert (str(row["response_id"]), row["consent_version"], row["language"]) == (event.response_id, "contact.v1", "sv")
    assert datetime.now(UTC) - row["given_at"] < timedelta(minutes=1)
    opened = json.loads(SEAL.open(row["sealed"], f"contact {token_hash(token).hex()}"))
    assert opened == {"name": "Åsa CANARY-1", "address": "070-174 06 34"}
    assert event.wants_contact
    everything = await everything_stored(pool)
    for canary in ("CANARY-1", "Åsa", "174 06 34"):
        assert canary not in everything
        assert canary.encode().hex() not in everything
    shown = await ask(app, "GET", f"/r/{token}?edit=1")
    assert "CANARY-1" not in shown.text


async def test_a_contact_wish_can_be_changed_and_taken_back_alone(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "1"), ("comment", "Blöt"), *WISH)
    await post(app, token, ("wants_contact", "1"), ("contact_address", "asa@mottagare.example"))
    sealed = await pool.fetchval("SELECT sealed FROM contact_wish")
    assert json.loads(SEAL.open(sealed, f"contact {token_hash(token).hex()}"))["address"] == "asa@mottagare.example"
    await post(app, token, ("wants_contact", "0"))
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0
    events = await told(pool)
    assert [(e.revision, e.wants_contact, e.commented, e.score) for e in events] == [
        (1, True, True, 1),
        (2, False, True, 1),
    ]


@pytest.mark.parametrize("more", [(), (("contested", "1"),)])
async def test_the_page_offers_to_take_a_contact_wish_back_as_long_as_there_is_one(
    app: SurveyRoutes, pool: Pool, more: tuple[tuple[str, str], ...]
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "1"), *more)
    taking_back = {"name": "wants_contact", "value": "0"}
    assert not Page((await ask(app, "GET", f"/r/{token}")).body).all("button", **taking_back)
    await post(app, token, *WISH)
    assert Page((await ask(app, "GET", f"/r/{token}")).body).all("button", **taking_back)
    reply = await post(app, token, ("wants_contact", "0"))
    assert (reply.status, reply.headers["location"]) == (303, f"/r/{token}?lang=sv")
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0
    assert not Page((await ask(app, "GET", f"/r/{token}")).body).all("button", **taking_back)


async def test_without_the_tick_no_contact_data_are_kept(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "1"), ("part", "details"), ("contact_address", "070-174 06 34"))
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0
    assert [e.wants_contact for e in await told(pool)] == [False]


@pytest.mark.parametrize("address", ["", "call me", "12", "@" * 255])
async def test_a_contact_wish_that_reaches_nobody_is_refused_and_what_was_written_stays(
    app: SurveyRoutes, pool: Pool, address: str
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "1"))
    before = await footprint(pool)
    fields = (("part", "details"), ("comment", "Blöt låda"), ("wants_contact", "1"), ("contact_address", address))
    shown = await post(app, token, *fields)
    assert shown.status == 422
    assert "Blöt låda" in shown.text
    assert "Skriv ett telefonnummer eller en e-postadress, eller ta bort krysset." in shown.text
    assert await footprint(pool) == before


# -- re-labelling --


STAFF = ("staff-7", "Lena L.")


@pytest.fixture
def relabelling(pool: Pool, settings: Settings) -> Relabelling:
    return Relabelling(pool, Relay(settings, "survey", Metrics()).wake, lambda: datetime.now(UTC))


async def test_staff_say_whom_an_answer_is_about_in_a_new_revision(
    app: SurveyRoutes, pool: Pool, relabelling: Relabelling
) -> None:
    token = await invite(pool, person_id=PERSON)
    fields = (("score", "1"), ("comment", "Fel storlek"), ("reasons", "other"), ("q.ease", "2"), ("contested", "1"))
    await post(app, token, *fields, *WISH)
    [first] = await told(pool)
    response_id = uuid.UUID(first.response_id)
    assert await relabelling.relabel(response_id, RatedParty.SHOP, STAFF, "goods") == 2
    assert await relabelling.relabel(response_id, RatedParty.SHOP, STAFF, "put_back") == 2
    [_, second] = await told(pool)
    assert second.model_dump() == first.model_dump() | {
        "revision": 2,
        "rated": RatedParty.SHOP,
        "recorded_at": second.recorded_at,
    }
    assert second.recorded_at > first.recorded_at
    [row] = await pool.fetch("SELECT * FROM relabelling")
    assert (row["revision"], row["rated"], row["reason"]) == (2, "shop", "goods")
    assert (row["member"], row["member_name"]) == STAFF
    await post(app, token, ("score", "2"))
    assert [(e.revision, e.rated) for e in await told(pool)][2:] == [(3, RatedParty.SHOP)]
    assert await relabelling.relabel(uuid.uuid4(), RatedParty.SHOP, STAFF, "goods") is None
