"""All that is counted of one delivery stands in one place, however late upstream corrects its facts."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import NamedTuple

import pytest
from aiokafka import ConsumerRecord

from schemas.delivery import DeliveryCorrected, DeliveryFacts
from schemas.invitation import InvitationDecided
from schemas.topics import INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED
from services.aggregator.cells.rows import Cells
from services.aggregator.counting.cuts import load_cuts, read_cuts
from services.aggregator.counting.reading import reader
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import unpack, window_start
from services.aggregator.handlers import CountBatch
from services.chassis.metrics import Metrics
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, named_sql
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.notifier.channels import Message
from services.notifier.channels.reports import Progress, Report
from services.notifier.receipts import ReceiptsInbox
from services.notifier.state import KeepState
from services.survey.answers.handlers import LearnInvitations
from tests.builders import NOON, record
from tests.sending import ACCEPTED, REFUSED_FOR_NOW, REMINDING, ScriptedChannel, dispatcher, now, plan, work
from tests.survey_app import SEAL, post, survey, told
from tests.tables import empty_pool

COUNTED = (INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED)
COLUMNS = ("delivered", "asked", "reached", "opened", "s2", "s4")


class Pools(NamedTuple):
    notifier: Pool
    survey: Pool
    aggregator: Pool


@pytest.fixture
async def pools(settings: Settings) -> AsyncIterator[Pools]:
    async with AsyncExitStack() as stack:
        yield Pools(*[await stack.enter_async_context(empty_pool(settings, s)) for s in Pools._fields])


async def correct(pool: Pool, revision: int, terminal: str, earlier: timedelta) -> None:
    """Upstream says that D-0 left another terminal, at another hour."""
    facts = DeliveryFacts.model_validate_json(
        await pool.fetchval("SELECT message -> 'delivery' FROM invitation WHERE delivery_id = 'D-0' LIMIT 1")
    )
    changed = {"terminal": terminal, "occurred_at": facts.occurred_at - earlier, "disruption": None}
    message = DeliveryCorrected.model_validate(
        {
            "delivery_id": "D-0",
            "revision": revision,
            "what": "facts_corrected",
            "corrected_at": now(),
            "delivery": facts.model_copy(update=changed),
        }
    )
    async with pool.acquire() as connection, connection.transaction():
        await KeepState(now)(connection, [Received(message, None, now())])


async def arrive(pool: Pool, kind: str) -> None:
    name = await pool.fetchval("SELECT invitation_id FROM invitation WHERE delivery_id = 'D-0' AND kind = $1", kind)
    inbox = ReceiptsInbox(pool, PersonKeys(SEAL), timedelta(days=180), Metrics())
    await inbox.take("elks", Report(str(name), f"m-{kind}", "delivered", Progress.DELIVERED, b"{}"))


async def records(pool: Pool) -> list[ConsumerRecord]:
    rows = await pool.fetch("SELECT topic, value FROM outbox WHERE topic = ANY($1) ORDER BY id", COUNTED)
    return [record(r["topic"], r["value"]) for r in rows]


async def learn(pools: Pools) -> None:
    decided = [r for r in await records(pools.notifier) if r.topic == INVITATION_DECIDED]
    async with pools.survey.acquire() as connection, connection.transaction():
        await LearnInvitations(named_sql("services.survey"))(
            connection, [Received(InvitationDecided.model_validate_json(r.value), None, NOON) for r in decided]
        )


async def counted(pool: Pool, batches: Sequence[Sequence[ConsumerRecord]]) -> dict[tuple[str, ...], dict[str, int]]:
    """The cells that the batches leave, after an audit that finds nothing."""
    await pool.execute("TRUNCATE cell, answer, decision, touched")
    read, count = reader(), CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    for batch in batches:
        async with pool.acquire() as connection, connection.transaction():
            await count(connection, [c for r in batch if (c := read(r)) is not None])
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        assert await Cells().audit(connection) == []
    rows = await pool.fetch("SELECT u.cut, u.value, c.* FROM cell AS c JOIN unit AS u ON u.id = (c.cell >> 32)::int")
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for row in rows:
        _, window, index = unpack(row["cell"])
        if numbers := {name: row[name] for name in COLUMNS if row[name]}:
            found[row["cut"], row["value"], window.value, str(window_start(window, index))] = numbers
    return found


async def test_facts_corrected_before_the_request_leaves_split_no_counter_from_another(
    pools: Pools, settings: Settings
) -> None:
    async def corrected_meanwhile(_: Message) -> None:
        if len(channel.calls) == 1:
            await correct(pools.notifier, 2, "Jordbro", timedelta(hours=1))

    async with pools.aggregator.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    await plan(pools.notifier, terminal="Årsta")
    await correct(pools.notifier, 1, "Segeltorp", timedelta(hours=2))  # while it is planned
    channel = ScriptedChannel((REFUSED_FOR_NOW, ACCEPTED), before_answer=corrected_meanwhile)  # and by the claim
    sender = dispatcher(pools.notifier, settings, channel, policies=REMINDING)
    for _ in range(3):
        await work(sender)
    await correct(pools.notifier, 3, "Toftanäs", timedelta(hours=3))
    await pools.notifier.execute("UPDATE invitation SET due_at = now() WHERE kind = 'reminder'")
    for _ in range(2):
        await work(sender)
    await arrive(pools.notifier, "reminder")
    await learn(pools)
    app, token = survey(pools.survey, settings), channel.calls[-1].link.rpartition("/")[2]
    assert (await post(app, token, ("part", "opened"))).status == 204
    for score in ("2", "4"):
        assert (await post(app, token, ("score", score))).status == 303

    heard = [*await records(pools.notifier), *await records(pools.survey)]
    assert {m.known.terminal for m in await told(pools.survey)} == {"Jordbro"}
    everything = {"delivered": 1, "asked": 1, "reached": 1, "opened": 1, "s4": 1}
    as_they_came = await counted(pools.aggregator, [heard])
    assert {cell[1] for cell in as_they_came if cell[0] == "terminal"} == {"Årsta"}
    assert [numbers for cell, numbers in as_they_came.items() if cell[0] in {"total", "terminal"}] == [everything] * 11
    unanswered = await counted(pools.aggregator, [[r for r in heard if r.topic != RESPONSE_RECORDED]])
    assert [numbers for cell, numbers in unanswered.items() if cell[:3] == ("terminal", "Årsta", "all")] == [
        {"delivered": 1, "asked": 1, "reached": 1, "opened": 1}
    ]
    draw = random.Random(7)
    for _ in range(10):
        draw.shuffle(heard)
        cut = draw.randrange(len(heard))
        assert await counted(pools.aggregator, [heard[:cut], heard[cut:]]) == as_they_came
