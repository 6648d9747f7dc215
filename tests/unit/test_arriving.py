"""A delivery is taken once it has happened by the broker's clock."""

from datetime import datetime, timedelta

import pytest
from aiokafka import ConsumerRecord

from schemas.delivery import Correction, DeliveryCorrected
from schemas.topics import DELIVERY_COMPLETED, DELIVERY_CORRECTED
from services.chassis.failures import Poison
from services.notifier.arriving import reading_deliveries
from services.notifier.state import reading_state
from tests.builders import NOON, delivery, record

read = reading_deliveries("group")


def appended_at_noon(occurred_at: datetime) -> ConsumerRecord:
    told = delivery(occurred_at=occurred_at).model_dump_json(exclude_none=True)
    return record(DELIVERY_COMPLETED, told.encode())


@pytest.mark.parametrize("ahead", [timedelta(days=-400), timedelta(0), timedelta(minutes=5)])
def test_a_delivery_of_the_past_or_up_to_five_minutes_ahead_is_taken(ahead: timedelta) -> None:
    received = read(appended_at_noon(NOON + ahead))
    assert received is not None
    assert (received.message.delivery.occurred_at, received.appended_at) == (NOON + ahead, NOON)


@pytest.mark.parametrize("ahead", [timedelta(minutes=5, seconds=1), timedelta(hours=1), timedelta(days=80_000)])
def test_a_delivery_further_ahead_is_put_aside_with_one_reason_for_all(ahead: timedelta) -> None:
    with pytest.raises(Poison) as poison:
        read(appended_at_noon(NOON + ahead))
    assert poison.value.reason == "in_the_future"
    assert poison.value.detail == "delivery.occurred_at: more than five minutes ahead of the broker's clock"


def test_tombstones_mean_nothing() -> None:
    assert read(record(DELIVERY_COMPLETED, None)) is None


def corrected_at_noon(what: Correction, occurred_at: datetime) -> ConsumerRecord:
    facts = delivery(occurred_at=occurred_at).delivery
    told = DeliveryCorrected(
        delivery_id=facts.delivery_id, revision=1, what=what, corrected_at=NOON, delivery=facts
    ).model_dump_json(exclude_none=True)
    return record(DELIVERY_CORRECTED, told.encode())


def test_facts_that_are_corrected_to_a_moment_to_come_are_put_aside_so_that_no_erasure_lasts_until_then() -> None:
    with pytest.raises(Poison) as poison:
        reading_state()(corrected_at_noon(Correction.FACTS_CORRECTED, NOON + timedelta(days=36 * 365)))
    assert poison.value.reason == "in_the_future"
    taken = reading_state()(corrected_at_noon(Correction.FACTS_CORRECTED, NOON + timedelta(minutes=5)))
    assert taken is not None


def test_a_parcel_that_came_back_is_heard_of_whatever_its_facts_say() -> None:
    taken = reading_state()(corrected_at_noon(Correction.RETURNED, NOON + timedelta(days=1)))
    assert taken is not None
