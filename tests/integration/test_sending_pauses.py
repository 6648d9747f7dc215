"""Sending pauses by itself: far more calls than usual, a provider that fails, hand-overs that hang."""

import asyncio

import pytest

from schemas.delivery import ChannelKind
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.channels import Fate, Message, Result
from services.notifier.dispatch import Limits
from services.notifier.volume import pause_when_too_many
from tests.builders import SMS
from tests.sending import (
    CAPPED,
    LIMITS,
    REFUSED_FOR_NOW,
    ScriptedChannel,
    dispatcher,
    ledger,
    plan,
    work,
)

pytestmark = pytest.mark.service("notifier")


async def test_far_more_calls_than_usual_pause_sending_until_an_operator_has_looked(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 20)
    sender = dispatcher(pool, settings, ScriptedChannel(), CAPPED)
    metrics = Metrics()
    await pool.execute("UPDATE switch SET changed_at = now() - interval '1 minute'")
    await work(sender)
    async with pool.acquire() as connection:
        assert not await pause_when_too_many(connection, metrics, 20)
        assert await pause_when_too_many(connection, metrics, 19)
    assert metrics.registry.get_sample_value("kvittera_volume_pauses_total", {"channel": "email"}) == 1
    assert metrics.registry.get_sample_value("kvittera_sending_on") == 0
    assert await work(sender) == 0
    await pool.execute("UPDATE switch SET is_on = true, changed_at = now() + interval '1 second'")
    async with pool.acquire() as connection:
        assert not await pause_when_too_many(connection, metrics, 19)  # counts anew since it was resumed


async def test_thrice_the_busiest_hour_is_usual(pool: Pool, settings: Settings) -> None:
    await plan(pool, 20)
    await pool.execute("UPDATE switch SET changed_at = now() - interval '1 minute'")
    await work(dispatcher(pool, settings, ScriptedChannel(), CAPPED))
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO send_hour VALUES ('email', floor(extract(epoch FROM now()) / 3600)::bigint - 5, 7)"
        )
        assert not await pause_when_too_many(connection, Metrics(), 1)
        await connection.execute("UPDATE send_hour SET n = 6 WHERE n = 7")
        assert await pause_when_too_many(connection, Metrics(), 1)


async def test_a_provider_that_fails_ten_times_in_a_row_is_left_alone_and_then_asked_once(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 30)
    channel = ScriptedChannel([REFUSED_FOR_NOW] * 11 + [Result(Fate.ACCEPTED)])
    sender = dispatcher(
        pool,
        settings,
        channel,
        Limits(
            concurrency=10,
            lease_seconds=LIMITS.lease_seconds,
            max_age_seconds=LIMITS.max_age_seconds,
            in_doubt_deadline_seconds=LIMITS.in_doubt_deadline_seconds,
        ),
    )
    clock = [0.0]
    sender._breaker.clock = lambda: clock[0]
    await work(sender)
    assert len(channel.calls) == 10
    for _ in range(3):
        assert await work(sender) == 0
    clock[0] = 3.0
    assert await work(sender) == 1
    assert await work(sender) == 0  # that one failed too
    clock[0] = 9.0
    assert await work(sender) == 1
    assert await work(sender) == 10


async def test_a_provider_that_was_left_alone_is_tried_again_while_another_kinds_calls_hang(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 11)
    await plan(pool, 12, channels=(SMS,))  # one more, by text message
    answer = asyncio.Event()

    async def hang_on_text_messages(message: Message) -> None:
        if message.kind is ChannelKind.SMS:
            await answer.wait()

    channel = ScriptedChannel([REFUSED_FOR_NOW], before_answer=hang_on_text_messages)
    sender = dispatcher(pool, settings, channel, Limits(11, 60, 72 * 3600, 3600))
    clock = [0.0]
    sender._breaker.clock = lambda: clock[0]
    await pool.execute("UPDATE invitation SET due_at = due_at - interval '1 minute' WHERE channel = 'sms'")
    assert await sender._begin_some() == 11
    await asyncio.wait(sender._sending, return_when=asyncio.FIRST_COMPLETED)
    while len(sender._sending) > 1:
        await asyncio.sleep(0.01)
    clock[0] = 3.0
    assert await sender._begin_some() == 1  # the text message has no answer yet
    assert await sender._begin_some() == 0  # a second mail does not go to see
    answer.set()
    await asyncio.wait(sender._sending)


async def test_sixty_four_hand_overs_that_hang_hold_no_connection_to_the_database(
    pool: Pool, settings: Settings
) -> None:
    await plan(pool, 64)
    answer = asyncio.Event()

    async def hang(_: Message) -> None:
        await answer.wait()

    channel = ScriptedChannel(before_answer=hang)
    sender = dispatcher(pool, settings, channel, Limits(64, 60, 72 * 3600, 3600))
    assert await sender._begin_some() == 64
    while len(channel.calls) < 64:
        await asyncio.sleep(0)
    assert pool.get_idle_size() == pool.get_size()
    answer.set()
    await asyncio.wait(sender._sending)
    assert (await ledger(pool))["asked"] == 64
