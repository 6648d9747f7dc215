"""What goes with the face: follow-up answers, contact wishes, contested parcels, preferences, conditions, labels."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.recipient import DeliveryContested, PreferenceChanged
from schemas.response import RatedParty
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.answers.relabelling import Relabelling
from services.survey.answers.responses import token_hash
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.survey_app import SEAL, invite, lock, post, survey, told
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

PERSON = "5e" * 16


async def values(pool: Pool, topic: str) -> list[bytes]:
    return [r[0] for r in await pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", topic)]


async def contested(pool: Pool) -> list[DeliveryContested]:
    return [DeliveryContested.model_validate_json(v) for v in await values(pool, "delivery.contested.v1")]


async def preferred(pool: Pool) -> list[PreferenceChanged]:
    return [PreferenceChanged.model_validate_json(v) for v in await values(pool, "preference.changed.v1")]


def suspected(app: SurveyRoutes, sign: str) -> float | None:
    return app.metrics.registry.get_sample_value("kvittera_answers_suspected_total", {"sign": sign})


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


# -- conditions --


async def test_a_change_is_kept_only_for_the_revision_it_was_meant_for(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    first = await post(app, token, ("score", "4"), as_json=True)
    assert first.headers["etag"] == '"1"'
    kept = await post(app, token, ("score", "5"), as_json=True, headers=[("if-match", '"1"')])
    assert (kept.status, kept.headers["etag"], kept.json) == (200, '"2"', {"revision": 2})
    before = await footprint(pool)
    for stale in ('"1"', '"3"', 'W/"2"', "2", '"x"', ""):
        refused = await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", stale)])
        assert (refused.status, refused.headers["etag"]) == (412, '"2"')
    assert await footprint(pool) == before
    for current in ('"2"', '"9", "2"', "*"):
        assert (await post(app, token, ("score", "5"), as_json=True, headers=[("if-match", current)])).status == 200


async def test_there_is_nothing_to_match_before_the_first_answer_or_behind_a_closed_link(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    for tag in ('"0"', '"1"', "*"):
        assert (await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", tag)])).status == 412
    assert (await post(app, "x" * 22, ("score", "1"), as_json=True, headers=[("if-match", "*")])).status == 404
    await post(app, token, ("score", "4"))
    await lock(pool, token)
    for tag in ('"1"', '"2"'):
        assert (await post(app, token, ("score", "1"), as_json=True, headers=[("if-match", tag)])).status == 423
    assert [e.score for e in await told(pool)] == [4]


async def test_of_changes_to_the_same_revision_at_once_one_is_kept(pool: Pool, settings: Settings) -> None:
    token = await invite(pool)
    servers = [survey(pool, settings) for _ in range(3)]
    await post(servers[0], token, ("score", "3"))
    async with pool.acquire() as holding, holding.transaction():
        await holding.execute("SELECT FROM response FOR UPDATE")
        posting = [
            asyncio.create_task(post(s, token, ("score", n), as_json=True, headers=[("if-match", '"1"')]))
            for s, n in zip(servers, "124", strict=True)
        ]
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(90):
            while await pool.fetchval(waiting) < len(posting):  # all read the revision, or wait to read it
                await asyncio.sleep(0.01)
    assert sorted([(await p).status for p in posting]) == [200, 412, 412]
    assert [e.revision for e in await told(pool)] == [1, 2]


async def test_the_same_attempt_again_gets_the_same_result_and_undoes_nothing(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    key = [("idempotency-key", "visit-1")]
    assert (await post(app, token, ("score", "4"), as_json=True, headers=key)).json == {"revision": 1}
    await post(app, token, ("score", "2"), as_json=True, headers=[("idempotency-key", "visit-2")])
    assert (await post(app, token, ("score", "4"), as_json=True, headers=key)).json == {"revision": 1}
    assert [(e.revision, e.score) for e in await told(pool)] == [(1, 4), (2, 2)]


async def test_the_same_key_with_another_answer_is_refused(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    key = [("idempotency-key", "visit-1")]
    await post(app, token, ("score", "4"), as_json=True, headers=key)
    for more in ([], [("if-match", '"1"')]):
        refused = await post(app, token, ("score", "5"), as_json=True, headers=[*key, *more])
        assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json")
    assert [e.score for e in await told(pool)] == [4]
    other = await invite(pool, delivery={"delivery_id": "D-2"})
    assert (await post(app, other, ("score", "5"), as_json=True, headers=key)).status == 200


async def test_a_repeated_attempt_whose_condition_no_longer_holds_still_gets_its_result(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    how = [("idempotency-key", "once"), ("if-match", '"1"')]
    for _ in range(2):
        assert (await post(app, token, ("score", "5"), as_json=True, headers=how)).json == {"revision": 2}


async def test_one_attempt_at_many_servers_at_once_is_one_revision(pool: Pool, settings: Settings) -> None:
    token = await invite(pool)
    servers = [survey(pool, settings) for _ in range(3)]
    key = [("idempotency-key", "visit-1")]
    replies = await asyncio.gather(
        *(post(servers[n % 3], token, ("score", "4"), as_json=True, headers=key) for n in range(12))
    )
    assert [(r.status, r.json) for r in replies] == [(200, {"revision": 1})] * 12


async def test_the_last_eight_attempts_of_an_answer_are_remembered(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    for n in range(9):
        await post(app, token, ("score", str(n % 2 + 1)), as_json=True, headers=[("idempotency-key", f"tap-{n}")])
    stored = await pool.fetchval("SELECT tried FROM response")
    assert [len(t) for t in stored] == [20] * 8
    again = [
        (
            await post(app, token, ("score", str(n % 2 + 1)), as_json=True, headers=[("idempotency-key", f"tap-{n}")])
        ).json
        for n in (8, 1, 0)
    ]
    assert again == [{"revision": 9}, {"revision": 2}, {"revision": 9}]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "nyckel-å"])
async def test_a_key_that_is_none_is_refused(app: SurveyRoutes, pool: Pool, key: str) -> None:
    token = await invite(pool)
    refused = await post(app, token, ("score", "4"), as_json=True, headers=[("idempotency-key", key)])
    assert refused.status == 422
    assert await told(pool) == []


# -- preferences --


async def test_preferences_are_kept_told_and_shown_again(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    await post(app, token, ("score", "4"))
    reply = await post(app, token, ("part", "preferences"), ("frequency", "quarterly"), ("channel", "sms"))
    assert (reply.status, reply.headers["location"]) == (303, f"/r/{token}?done=1&kept=preferences&lang=sv")
    for pairs in (
        (("frequency", "quarterly"),),
        (("channel", "sms"),),
        (("channel", "email"),),
        (("frequency", "never"),),
    ):
        await post(app, token, ("part", "preferences"), *pairs)
    events = await preferred(pool)
    assert [(e.person_id, e.revision, e.never, e.most_per_year, e.only_channel) for e in events] == [
        (PERSON, 1, False, 4, "sms"),
        (PERSON, 2, False, 4, "email"),
        (PERSON, 3, True, None, "email"),
    ]
    assert {e.source for e in events} == {"page"}
    shown = await ask(app, "GET", f"/r/{token}?done=1")
    assert 'id="frequency-never" value="never" required checked' in shown.text
    assert 'id="channel-email" value="email" checked' in shown.text
    await post(app, token, ("part", "preferences"), ("frequency", "every"), ("channel", "any"))
    [*_, last] = await preferred(pool)
    assert (last.revision, last.never, last.most_per_year, last.only_channel) == (4, False, None, None)
    assert [e.revision for e in await told(pool)] == [1]  # the answer itself did not change


async def test_a_person_has_the_same_preferences_behind_every_link(app: SurveyRoutes, pool: Pool) -> None:
    tokens = [await invite(pool, person_id=PERSON, delivery={"delivery_id": f"D-{n}"}) for n in range(2)]
    for token in tokens:
        await post(app, token, ("score", "4"))
    await post(app, tokens[0], ("part", "preferences"), ("frequency", "yearly"))
    shown = await ask(app, "GET", f"/r/{tokens[1]}?done=1")
    assert 'id="frequency-yearly" value="yearly" required checked' in shown.text


async def test_a_link_that_leads_to_no_person_offers_no_preferences_and_says_so(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "4"))
    assert "frequency" not in (await ask(app, "GET", f"/r/{token}?done=1")).text
    before = await footprint(pool)
    fields = (("part", "preferences"), ("frequency", "never"))
    assert (await post(app, token, *fields, as_json=True)).status == 409
    assert (await post(app, token, *fields)).status == 409
    assert await footprint(pool) == before


@pytest.mark.parametrize("pairs", [(), (("frequency", "daily"),), (("channel", "fax"),), (("frequency", "never"),) * 2])
async def test_preferences_that_no_page_offers_are_refused(
    app: SurveyRoutes, pool: Pool, pairs: tuple[tuple[str, str], ...]
) -> None:
    token = await invite(pool, person_id=PERSON)
    assert (await post(app, token, ("part", "preferences"), *pairs, as_json=True)).status == 422
    assert await preferred(pool) == []


async def test_preferences_that_were_not_kept_are_shown_again_as_chosen(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    await post(app, token, ("score", "4"))
    fields = (("part", "preferences"), ("frequency", "yearly"), ("channel", "fax"), ("lang", "sv"))
    shown = await post(app, token, *fields)
    assert shown.status == 422
    assert "Svaret är inte sparat än." in shown.text
    assert 'value="yearly" required checked' in shown.text
    assert await preferred(pool) == []


async def test_preferences_end_with_the_link(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    await lock(pool, token)
    fields = (("part", "preferences"), ("frequency", "never"))
    assert (await post(app, token, *fields, as_json=True)).status == 423
    assert (await post(app, "x" * 22, *fields, as_json=True)).status == 404
    assert await preferred(pool) == []


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


# -- machines --


async def test_all_five_links_opened_at_once_and_then_a_post_look_like_a_machine(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    for face in "12345":
        await ask(app, "GET", f"/r/{token}?s={face}")
    await post(app, token, ("score", "1"))
    assert suspected(app, "all_faces") == 1
    await post(app, token, ("score", "1"), as_json=True)  # the person comes, with the same face
    await post(app, token, ("score", "2"), as_json=True)
    assert [(e.revision, e.score, e.suspected_machine) for e in await told(pool)] == [
        (1, 1, True),
        (2, 1, False),
        (3, 2, False),
    ]


async def test_who_follows_the_link_that_nobody_sees_and_posts_looks_like_a_machine(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    assert '<a href="?s=6"></a></div>' in (await ask(app, "GET", f"/r/{token}")).text
    assert " checked>" not in (await ask(app, "GET", f"/r/{token}?s=6")).text
    assert await footprint(pool) == before
    await post(app, token, ("score", "3"))
    assert suspected(app, "hidden_link") == 1
    assert [e.suspected_machine for e in await told(pool)] == [True]


async def test_a_post_at_once_or_with_the_invisible_field_looks_like_a_machine(app: SurveyRoutes, pool: Pool) -> None:
    hasty, greedy, calm = [await invite(pool, delivery={"delivery_id": f"D-{n}"}) for n in range(3)]
    await ask(app, "GET", f"/r/{hasty}")
    await ask(app, "HEAD", f"/r/{calm}")
    await post(app, hasty, ("score", "5"))
    await post(app, greedy, ("score", "5"), ("website", "https://spam.example"), as_json=True)
    await post(app, calm, ("score", "5"), ("website", ""))
    assert [e.suspected_machine for e in await told(pool)] == [True, True, False]
    assert (suspected(app, "too_fast"), suspected(app, "honeypot")) == (1, 1)


async def test_a_machine_after_a_person_does_not_hide_the_persons_equal_answer(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), as_json=True)
    await post(app, token, ("score", "5"), ("website", "x"))
    assert [e.suspected_machine for e in await told(pool)] == [False]
    await post(app, token, ("score", "1"), ("website", "x"))
    assert [e.suspected_machine for e in await told(pool)] == [False, True]
