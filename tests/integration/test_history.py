"""What the rules are told of the past comes from the tables, for all addresses of a person together."""

import pytest

from schemas.delivery import ChannelKind, ContactChannel, Correction
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.history import LookBack
from services.notifier.policy import Contacted, History, Preference
from tests.builders import facts
from tests.conftest import SEALING_KEY
from tests.sending import ScriptedChannel, dispatcher, plan, work

pytestmark = pytest.mark.service("notifier")

PERSONS = [Seal(bytes.fromhex(SEALING_KEY)).pseudonym(a) for a in ("email:astrid.canary@mottagare.example", "sms:+467")]

BY_ADDRESS = dict(
    zip(
        (
            ContactChannel(kind=ChannelKind.EMAIL, address="astrid.canary@mottagare.example"),
            ContactChannel(kind=ChannelKind.SMS, address="+467"),
        ),
        PERSONS,
        strict=True,
    )
)


async def history(pool: Pool, **changed: object) -> History:
    async with pool.acquire() as connection:
        known = await PersonKeys(Seal(bytes.fromhex(SEALING_KEY))).look_up(connection, PERSONS)
        past = await LookBack()(connection, [facts(**changed)], known)
    return past.of(facts(**changed), BY_ADDRESS)


async def test_nothing_is_known_of_a_stranger(pool: Pool) -> None:
    assert await history(pool) == History()


async def test_what_was_asked_and_said_and_corrected_is_told_to_the_rules(pool: Pool, settings: Settings) -> None:
    await plan(pool, drop_id="stop-7", order_id="order-9")
    await work(dispatcher(pool, settings, ScriptedChannel()))
    called = await pool.fetchval("SELECT called_at FROM invitation")
    await pool.execute("INSERT INTO preference VALUES ($1, false, 4, NULL, now())", PERSONS[0])
    await pool.execute("INSERT INTO preference VALUES ($1, false, 2, 'sms', now())", PERSONS[1])
    await pool.execute("INSERT INTO correction VALUES ('D-8', 'returned', 1)")
    assert await history(pool, delivery_id="D-8", drop_id="stop-7", order_id="order-9") == History(
        drop_asked=True,
        order_asked=True,
        contacts=(Contacted(called, ChannelKind.EMAIL, "fjallbod"),),
        preference=Preference(never=False, most_per_year=2, only_channel=ChannelKind.SMS),
        correction=Correction.RETURNED,
    )


@pytest.mark.parametrize("shop", ["fjallbod", None])
async def test_another_shops_order_of_the_same_number_is_another_order(pool: Pool, shop: str | None) -> None:
    await plan(pool, order_id="1001", merchant_id=shop)
    asked = {
        m: (await history(pool, order_id="1001", merchant_id=m)).order_asked for m in ("fjallbod", "havsbris", None)
    }
    assert asked == {"fjallbod": False, "havsbris": False, None: False} | {shop: True}


async def test_requests_that_were_withheld_or_are_a_year_old_are_no_contacts(pool: Pool) -> None:
    await plan(pool, 2)
    await pool.execute("UPDATE invitation SET state = 'withheld', reason = 'returned' WHERE delivery_id = 'D-0'")
    await pool.execute("UPDATE invitation SET due_at = now() - interval '366 days' WHERE delivery_id = 'D-1'")
    assert (await history(pool)).contacts == ()


async def test_facts_that_were_corrected_before_the_delivery_came_are_those_decided_about(
    pool: Pool,
) -> None:
    corrected = facts(delivery_id="D-0", exceptions=["damaged"], terminal="Segeltorp")
    await pool.execute("INSERT INTO correction VALUES ('D-0', 'facts_corrected', 1, $1)", corrected.model_dump_json())
    await plan(pool)
    assert await pool.fetchval("SELECT reason FROM decision") == "exception_open"


async def test_a_batch_knows_what_it_has_just_planned_for_the_same_order(pool: Pool) -> None:
    async with pool.acquire() as connection:
        known = await PersonKeys(Seal(bytes.fromhex(SEALING_KEY))).look_up(connection, PERSONS)
        past = await LookBack()(connection, [], known)
    assert not past.of(facts(order_id="order-9"), BY_ADDRESS).order_asked
    past.orders.add(("fjallbod", "order-9"))
    assert past.of(facts(order_id="order-9"), BY_ADDRESS).order_asked
    assert not past.of(facts(order_id="order-9", merchant_id="havsbris"), BY_ADDRESS).order_asked
