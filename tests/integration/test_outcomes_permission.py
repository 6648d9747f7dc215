"""Words to a person while live sending is not permitted: they wait, and leave once when it is permitted again."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.outcomes.message import Fate, Result
from tests.caseload import NOW
from tests.integration.test_outcomes import Scripted, history, sending, stands, write

pytestmark = pytest.mark.service("survey")
THREE_DAYS = 3 * 24 * 60


def by_mail(settings: Settings, *, minutes: float) -> Settings:
    """Live sending by e-mail, permitted for so long from now."""
    return settings.model_copy(update={"channel": "smtp", "live_sending_until": NOW + timedelta(minutes=minutes)})


async def test_what_waits_while_the_permission_is_over_is_neither_dropped_nor_told_as_sent(
    pool: Pool, settings: Settings
) -> None:
    over = by_mail(settings, minutes=60)
    desk, sender = await write(pool, over), Scripted()
    stop, looks = asyncio.Event(), 0
    waiting = sending(pool, over, sender, minutes=THREE_DAYS)

    def permitted() -> bool:
        nonlocal looks
        looks += 1
        if looks == 5:
            stop.set()
        return waiting.permitted()

    async with asyncio.timeout(60):
        await replace(waiting, permitted=permitted, period=0.01).run(stop)
    assert (await stands(desk), sender.sent) == (("planned", None), [])
    assert await pool.fetchval("SELECT words_sealed IS NOT NULL AND fence = 0 FROM outcome_message")
    assert await history(pool) == ["answered", "opened", "noted"]

    stop.clear()
    again = sending(pool, by_mail(settings, minutes=THREE_DAYS + 60), sender, minutes=THREE_DAYS + 1)
    running = asyncio.create_task(replace(again, period=0.01).run(stop))
    async with asyncio.timeout(60):
        while (await stands(desk))[0] != "accepted":
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert len(sender.sent) == 1


async def test_words_that_waited_for_days_are_not_given_up_at_their_first_refusal(
    pool: Pool, settings: Settings
) -> None:
    desk, away = await write(pool, settings), Scripted(Result(Fate.REFUSED_FOR_NOW, "smtp_451"))
    for n in range(7):
        assert await sending(pool, settings, away, minutes=THREE_DAYS + 121 * n).send_next()
        assert await stands(desk) == ("planned", "smtp_451")
    assert await sending(pool, settings, away, minutes=THREE_DAYS + 121 * 7).send_next()
    assert await stands(desk) == ("refused", "smtp_451")
    assert len(away.sent) == 8
