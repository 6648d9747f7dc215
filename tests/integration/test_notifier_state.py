"""Wishes, disruptions, corrections and answers leave one row each and stop what has not left yet."""

import asyncio
import itertools
import random
from datetime import timedelta
from typing import Any

import pytest

from schemas.contract import Contract
from schemas.delivery import ChannelKind, DeliveryCorrected
from schemas.disruption import DeliveryDisruption
from schemas.invitation import InvitationDecided
from schemas.recipient import PreferenceChanged
from schemas.response import ResponseRecorded
from schemas.topics import CARDS
from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.notifier import state
from services.notifier.handlers import DecideDeliveries
from services.notifier.history import LookBack
from services.notifier.ledger import measure_ledger
from services.notifier.policy import Policies, Rules
from services.notifier.state import KeepState
from tests.builders import NOON, always, arrived, delivery, facts
from tests.conftest import SEALING_KEY
from tests.harness import until
from tests.tables import footprint

pytestmark = pytest.mark.service("notifier")


async def plan(pool: Pool, *deliveries: str, policies: Policies | None = None, **facts: Any) -> None:
    decide = DecideDeliveries.with_queries(
        rules=Rules(timedelta(hours=72), timedelta(0), frozenset(ChannelKind), policies or Policies()),
        seal=Seal(bytes.fromhex(SEALING_KEY)),
        brand="Nordposten Demo",
        link_lifetime=timedelta(days=14),
        metrics=Metrics(),
        now=always(NOON),
    )
    async with pool.acquire() as connection, connection.transaction():
        await decide(connection, [arrived(delivery(delivery_id=d, **facts)) for d in deliveries])


async def hear(pool: Pool, *messages: Contract) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await KeepState(lambda: NOON)(connection, [Received(m, None, NOON) for m in messages])


async def states(pool: Pool) -> dict[str, tuple[str, str | None]]:
    rows = await pool.fetch("SELECT delivery_id, state, reason FROM invitation ORDER BY delivery_id")
    return {r["delivery_id"]: (r["state"], r["reason"]) for r in rows}


async def told(pool: Pool, delivery_id: str = "D-1") -> list[tuple[int, str, str | None]]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE key = $1 ORDER BY id", delivery_id.encode())
    messages = [InvitationDecided.model_validate_json(r["value"]) for r in rows]
    return [(m.revision, m.outcome.value, m.reason) for m in messages]


async def person_of(pool: Pool) -> str:
    person: bytes = await pool.fetchval("SELECT person FROM invitation LIMIT 1")
    return person.hex()


def preference(person: str = "5e" * 16, **changed: Any) -> PreferenceChanged:
    plain = {"person_id": person, "revision": 1, "source": "page", "changed_at": NOON}
    return PreferenceChanged.model_validate(plain | changed)


def correction(what: str, revision: int = 1, delivery_id: str = "D-1", **changed: Any) -> DeliveryCorrected:
    corrected = facts(delivery_id=delivery_id, **changed) if what == "facts_corrected" else None
    return DeliveryCorrected.model_validate(
        {"delivery_id": delivery_id, "revision": revision, "what": what, "corrected_at": NOON, "delivery": corrected}
    )


def response(delivery_id: str = "D-1", **changed: Any) -> ResponseRecorded:
    plain: dict[str, Any] = {
        "response_id": "00000000-0000-4000-8000-000000000001",
        "revision": 1,
        "score": 4,
        "answered_at": NOON,
        "recorded_at": NOON,
        "delivery": facts(delivery_id=delivery_id),
    }
    return ResponseRecorded.model_validate(plain | changed)


def disruption(revision: int, status: str) -> DeliveryDisruption:
    return DeliveryDisruption.model_validate(
        {
            "disruption_id": "storm-1",
            "revision": revision,
            "state": status,
            "kind": "weather",
            "areas": [{"country": "NO"}],
            "starts_at": NOON,
            "published_at": NOON,
        }
    )


def test_every_topic_that_is_heard_has_dead_letters_and_names_the_notifier() -> None:
    assert set(state.MODELS) == {
        *("preference.changed.v1", "delivery.disruption.v1", "delivery.corrected.v1", "response.recorded.v1")
    }
    assert all(CARDS[t].dead_letter and "notifier" in CARDS[t].consumers for t in state.MODELS)


async def test_of_two_writers_preferences_the_one_said_last_holds_whatever_its_revision(pool: Pool) -> None:
    early = preference(never=True, revision=9)
    late = preference(most_per_year=4, revision=1, source="reply", changed_at=NOON + timedelta(seconds=1))
    for order in itertools.permutations([early, late, early]):
        await pool.execute("DELETE FROM preference")
        for message in order:
            await hear(pool, message)
        assert tuple((await pool.fetch("SELECT never, most_per_year FROM preference"))[0]) == (False, 4)


async def test_who_says_never_is_not_sent_what_was_planned_and_it_is_told_why(pool: Pool) -> None:
    await plan(pool, "D-1", "D-2")
    await hear(pool, preference(await person_of(pool), never=True))
    assert await states(pool) == {"D-1": ("withheld", "opted_out"), "D-2": ("withheld", "opted_out")}
    assert await told(pool) == [(1, "scheduled", None), (2, "suppressed", "opted_out")]
    assert await pool.fetchval("SELECT count(*) FROM invitation WHERE sealed IS NOT NULL") == 0


async def test_a_person_id_that_is_no_pseudonym_becomes_a_dead_letter(pool: Pool) -> None:
    with pytest.raises(Poison):
        await hear(pool, preference("kund-7"))


@pytest.mark.parametrize("what", ["returned", "cancelled", "not_delivered", "claim_opened"])
async def test_what_turned_out_otherwise_is_not_asked_about(pool: Pool, what: str) -> None:
    await plan(pool, "D-1", "D-2")
    await hear(pool, correction(what))
    assert await states(pool) == {"D-1": ("withheld", what), "D-2": ("planned", None)}
    assert await told(pool) == [(1, "scheduled", None), (2, "suppressed", what)]


async def test_a_claim_that_was_closed_again_stops_nothing_in_any_order(pool: Pool) -> None:
    await plan(pool, "D-1")
    await hear(pool, correction("claim_closed", 2))
    await hear(pool, correction("claim_opened", 1))
    assert await states(pool) == {"D-1": ("planned", None)}
    await hear(pool, correction("claim_opened", 3))
    assert await states(pool) == {"D-1": ("withheld", "claim_opened")}


async def test_a_claimed_request_is_stopped_and_a_begun_call_is_not(pool: Pool) -> None:
    await plan(pool, "D-1", "D-2")
    await pool.execute("UPDATE invitation SET state = 'claimed' WHERE delivery_id = 'D-1'")
    await pool.execute("UPDATE invitation SET state = 'calling' WHERE delivery_id = 'D-2'")
    await hear(pool, correction("returned"), correction("returned", delivery_id="D-2"))
    assert await states(pool) == {"D-1": ("withheld", "returned"), "D-2": ("calling", None)}
    assert await pool.fetchval("SELECT fence FROM invitation WHERE delivery_id = 'D-1'") == 1


async def test_corrected_facts_replace_those_of_what_is_planned_and_are_told(pool: Pool) -> None:
    await plan(pool, "D-1")
    for _ in range(2):
        await hear(pool, correction("facts_corrected", terminal="Segeltorp"))
    rows = await pool.fetch("SELECT value FROM outbox ORDER BY id")
    messages = [InvitationDecided.model_validate_json(r["value"]) for r in rows]
    assert [(m.revision, m.outcome, m.known.terminal) for m in messages] == [
        (1, "scheduled", "Årsta"),
        (2, "scheduled", "Segeltorp"),
    ]
    assert {m.delivery.terminal for m in messages} == {"Årsta"}
    assert {m.token_sha256 for m in messages} == {messages[0].token_sha256}


async def test_a_request_moves_to_the_order_that_corrected_facts_name(pool: Pool) -> None:
    await plan(pool, "D-1")
    await hear(pool, correction("facts_corrected", order_id="order-9"))
    async with pool.acquire() as connection:
        past = await LookBack()(connection, [facts(delivery_id="D-2", order_id="order-9")], {})
    assert past.orders == {("fjallbod", "order-9")}


async def test_facts_corrected_to_a_damage_are_not_asked_about(pool: Pool) -> None:
    await plan(pool, "D-1")
    await hear(pool, correction("facts_corrected", exceptions=["damaged"]))
    assert await states(pool) == {"D-1": ("withheld", "exception_open")}


async def test_a_damage_that_the_request_knows_of_stops_nothing_when_something_else_is_corrected(pool: Pool) -> None:
    ask_about_damage = Policies.model_validate({"exceptions": {"ask_about": ["damaged"]}})
    await plan(pool, "D-1", policies=ask_about_damage, exceptions=["damaged"])
    await hear(pool, correction("facts_corrected", exceptions=["damaged"], terminal="Segeltorp"))
    assert await states(pool) == {"D-1": ("planned", None)}
    assert await told(pool) == [(1, "scheduled", None), (2, "scheduled", None)]
    await hear(pool, correction("facts_corrected", 2, exceptions=["damaged", "claim_open"]))
    assert await states(pool) == {"D-1": ("withheld", "exception_open")}


@pytest.mark.parametrize(("known", "state"), [([], "withheld"), (["damaged"], "planned")], ids=["new", "known"])
async def test_a_damage_stops_a_reminder_that_does_not_know_of_it(pool: Pool, known: list[str], state: str) -> None:
    ask_about_damage = Policies.model_validate({"exceptions": {"ask_about": ["damaged"]}})
    await plan(pool, "D-1", policies=ask_about_damage, exceptions=known)
    await pool.execute("UPDATE invitation SET kind = 'reminder'")
    await hear(pool, correction("facts_corrected", exceptions=["damaged"], terminal="Segeltorp"))
    assert (await states(pool))["D-1"][0] == state


async def test_an_answer_stops_the_reminder_only_and_a_dispute_stops_all(pool: Pool) -> None:
    await plan(pool, "D-1", "D-2", "D-3")
    await pool.execute("UPDATE invitation SET kind = 'reminder' WHERE delivery_id = 'D-1'")
    await hear(pool, response("D-1"), response("D-2"), response("D-3", contested=True))
    assert await states(pool) == {
        "D-1": ("withheld", "answered"),
        "D-2": ("planned", None),
        "D-3": ("withheld", "contested"),
    }
    assert await told(pool, "D-1") == [(1, "scheduled", None)]  # a reminder changes no decision


async def test_the_time_from_request_to_answer_is_measured_once_for_each_answer(pool: Pool) -> None:
    await plan(pool, "D-1", "D-2", "D-3")
    await pool.execute("UPDATE invitation SET called_at = $1 WHERE delivery_id <> 'D-3'", NOON - timedelta(minutes=4))
    ids = {r["delivery_id"]: str(r["invitation_id"]) for r in await pool.fetch("SELECT * FROM invitation")}
    answers = [response(d, invitation_id=ids[d]) for d in ids]
    metrics = Metrics()
    async with pool.acquire() as connection, connection.transaction():
        for heard in (answers, [response("D-1", invitation_id=ids["D-1"], revision=2, contested=True), *answers]):
            await KeepState(lambda: NOON, metrics)(connection, [Received(m, None, NOON) for m in heard])
        await KeepState(lambda: NOON, metrics)(
            connection, [Received(response("D-4", invitation_id="of-another-system"), None, NOON)]
        )
    assert metrics.registry.get_sample_value("kvittera_ask_to_answer_seconds_count") == 2
    assert metrics.registry.get_sample_value("kvittera_ask_to_answer_seconds_sum") == 2 * 240


async def test_what_a_machine_or_a_passer_by_answered_stops_no_reminder(pool: Pool) -> None:
    await hear(pool, response("D-1", suspected_machine=True), response("D-2", invited=False))
    assert await pool.fetchval("SELECT count(*) FROM answered") == 0


async def test_a_disruption_is_kept_in_its_highest_revision(pool: Pool) -> None:
    await hear(pool, disruption(2, "over"), disruption(1, "active"))
    await hear(pool, disruption(1, "active"))
    rows = await pool.fetch("SELECT disruption_id, revision, state FROM disruption")
    assert [tuple(r) for r in rows] == [("storm-1", 2, "over")]


async def test_a_replay_in_any_order_changes_nothing(pool: Pool) -> None:
    await plan(pool, "D-1", "D-2", "D-3")
    everything = [
        *(preference(most_per_year=n, changed_at=NOON + timedelta(minutes=n)) for n in (1, 2, 3)),
        *(correction("returned", 1, "D-1"), correction("claim_opened", 1, "D-2"), correction("claim_closed", 2, "D-2")),
        *(response("D-3"), response("D-3", contested=True, revision=2), disruption(1, "active"), disruption(2, "over")),
    ]
    await hear(pool, *everything)
    before = await footprint(pool)
    random.Random(5).shuffle(everything)
    for message in everything:
        await hear(pool, message)
    assert await footprint(pool) == before


async def test_the_ledger_is_folded_and_stands_in_the_metrics(pool: Pool) -> None:
    await plan(pool, "D-1", "D-2")
    metrics, stop = Metrics(), asyncio.Event()
    measuring = asyncio.create_task(measure_ledger(pool, metrics, stop, every=0.01))
    read = metrics.registry.get_sample_value

    async def folded() -> bool:
        assert not measuring.done()
        return read("kvittera_ledger", {"state": "delivered"}) is not None

    await until(folded, seconds=10)
    stop.set()
    await measuring

    assert read("kvittera_ledger", {"state": "delivered"}) == 2
    assert read("kvittera_ledger", {"state": "pending"}) == 2
    assert read("kvittera_ledger_gap") == 0
    assert await pool.fetchval("SELECT count(*) FROM ledger_change") == 0
    assert await pool.fetchval("SELECT n FROM ledger_total WHERE state = 'delivered'") == 2
