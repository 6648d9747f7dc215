"""Everything counted again from the topics gives the live cells, bit for bit; a live cell that differs is found."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import orjson
import pytest
from typer.testing import CliRunner

from schemas.topics import CARDS, INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED
from services.aggregator.counting.answer_columns import Block, blocks_reader
from services.aggregator.counting.cuts import CutsFile, cut_named, load_cuts
from services.aggregator.counting.reading import GROUP, TOPICS, Counted, reader
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.zone_data import note_zone_data, zone_data
from services.aggregator.handlers import CountBatch
from services.aggregator.history.past import begin, counted_up_to, reading_again
from services.aggregator.history.shadow import DifferingCell, replay
from services.chassis.failures import MustStop
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool, named_sql, open_pool
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import topic_partitions
from services.cli import app
from tests.builders import NOON, facts
from tests.harness import producing
from tests.tables import make_incoming


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    await apply_topics(settings, [CARDS[topic] for topic in TOPICS])
    made = await open_pool(settings, "aggregator", prepare=make_incoming)
    yield made
    made.terminate()


def records(seed: int, answers: int) -> list[tuple[str, bytes, bytes]]:
    """Decisions and answers with revisions, one answer that nobody can read, and one in a zone that is none."""
    dice, made = random.Random(seed), []
    for number in range(answers):
        where = facts(
            delivery_id=f"R-{seed}-{number}",
            terminal=dice.choice(["Årsta", "Umeå"]),
            occurred_at=NOON + timedelta(minutes=dice.randint(0, 5000)),
        ).model_dump(mode="json", exclude_none=True)
        response = str(uuid.UUID(int=dice.getrandbits(128)))
        for revision in range(1, dice.randint(2, 4)):
            decided = {"delivery": where, "revision": revision, "outcome": dice.choice(["scheduled", "asked"])}
            made.append(
                (INVITATION_DECIDED, where["delivery_id"].encode(), orjson.dumps(decided | {"decided_at": NOON}))
            )
            told = {"response_id": response, "revision": revision, "score": dice.randint(1, 5), "delivery": where}
            told |= {"recorded_at": NOON, "suspected_machine": dice.random() < 0.2}
            told |= {"answered_at": NOON + timedelta(minutes=dice.randint(0, 12_000))}
            told |= {"follow_ups": dice.choice([{}, {"ease": dice.randint(1, 5)}, {"ease": 3, "recommend": 9}])}
            made.append((RESPONSE_RECORDED, response.encode(), orjson.dumps(told)))
        for step in dice.sample(["reached", "opened"], dice.randint(0, 2)):
            # By another topic, so before or after the answer; what it says of the place must not matter.
            got = {"invitation_id": response, "step": step, "delivery": where | {"terminal": "Luleå"}, "at": NOON}
            made.append((INVITATION_PROGRESS, where["delivery_id"].encode(), orjson.dumps(got)))
    lost = {"response_id": str(uuid.uuid4()), "revision": 1, "score": 1, "recorded_at": NOON}
    nowhere = orjson.dumps(
        lost | {"delivery": {**facts().model_dump(mode="json", exclude_none=True), "zone": "Europe"}}
    )
    return [*made, (RESPONSE_RECORDED, b"broken", b"{"), (RESPONSE_RECORDED, b"nowhere", nowhere)]


async def send(settings: Settings, told: list[tuple[str, bytes, bytes]]) -> None:
    async with producing(settings) as producer:
        for topic, key, value in told:
            await producer.send(topic, value, key=key)
        await producer.flush()


async def count_live(settings: Settings, pool: Pool) -> int:
    """Count as the service does, from where it stands to the ends, in small batches. Returns how many were read."""
    units = Units(pool, ())
    fence: Fence[Counted | Block] = Fence(
        pool=pool,
        service="aggregator",
        group=GROUP,
        decode=reader(),
        together=blocks_reader(units),
        apply=CountBatch(units, Metrics(), lambda _, __: None),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=Metrics(),
    )
    parts = [p for topic in TOPICS for p in await topic_partitions(settings, topic)]
    for p in parts:
        await pool.execute(
            named_sql("services.chassis", "progress.sql")["begin_partition"], p.topic, p.partition, "c", uuid.uuid4(), 0
        )
    read = 0
    async with pool.acquire() as connection, reading_again(settings, "test") as consumer:
        await begin(consumer, await counted_up_to(connection))
        ends = await consumer.end_offsets(parts)
        for part, at in (await counted_up_to(connection)).items():
            consumer.seek(part, at)
        while any([await consumer.position(p) < ends[p] for p in parts]):
            batch = await consumer.getmany(timeout_ms=100, max_records=17)
            await fence.take(batch)
            read += sum(map(len, batch.values()))
    return read


async def test_the_topics_counted_again_give_the_live_cells_and_account_for_every_record(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MustStop, match="nothing was counted yet"):
        await replay(settings)
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, CutsFile(1, [*load_cuts(None), cut_named("terminal.wave")]))
        await note_zone_data(connection, "1999z", NOON)
    async with pool.acquire() as another:
        await another.execute("SELECT pg_advisory_lock(hashtext('aggregator_shadow replay'))")
        with pytest.raises(MustStop, match="another replay runs"):
            await replay(settings)
        await another.execute("SELECT pg_advisory_unlock(hashtext('aggregator_shadow replay'))")
    await send(settings, records(1, 40))
    read = await count_live(settings, pool)
    await send(settings, records(2, 20))  # not counted live yet, so not compared
    found = await replay(settings)
    assert found.equal
    assert found.differing == []
    assert found.cells > 100
    assert found.said == await pool.fetchval("SELECT count(*) FROM question, jsonb_object_keys(said)") > 10
    waves = await pool.fetch("SELECT value FROM unit JOIN cell ON cell >> 32 = id WHERE cut = 'terminal.wave'")
    assert {r["value"].partition(" × ")[2] for r in waves} == {"early", "late"}
    assert (found.read, found.missing) == (read, 0)
    assert found.put_aside >= 2
    await count_live(settings, pool)
    first = "SELECT min(local_hour) FROM question WHERE said ? 'recommend'"
    await pool.execute(f"UPDATE question SET said = said - 'recommend' WHERE local_hour = ({first})")
    await pool.execute("UPDATE cell SET s5 = s5 + 1 WHERE cell = (SELECT min(cell) FROM cell WHERE s5 > 0)")
    found = await replay(settings)
    assert not found.equal
    assert [(d.question, d.value, d.live, d.shadow) for d in found.differing_said] == [("recommend", 9, 0, 1)]
    [differing] = found.differing
    assert isinstance(differing, DifferingCell)
    assert differing.live is not None
    assert differing.shadow is not None
    assert [a - b for a, b in zip(differing.live, differing.shadow, strict=True)] == [0, 0, 0, 0, 1, *[0] * 9]
    assert await pool.fetchval("SELECT to_regnamespace('aggregator_shadow')") is None
    assert (found.zone_data, found.zone_data_live) == (zone_data(), ["1999z"])
    await told_by_the_command(settings, monkeypatch, differing)


async def told_by_the_command(settings: Settings, monkeypatch: pytest.MonkeyPatch, differing: DifferingCell) -> None:
    monkeypatch.setenv("KVITTERA_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value())
    monkeypatch.setenv("KVITTERA_ALLOW_UNSAFE_POSTGRES", "true")
    done = await asyncio.to_thread(CliRunner().invoke, app, ["replay", "--from", "0", "--into", "shadow"])
    assert done.exit_code == 1
    assert done.stdout.startswith("NOT EQUAL: ")
    assert f"{differing.cut} {differing.value!r} {differing.window}" in done.stdout
    zones = (
        f"hours by time-zone data {zone_data()}; the live counters have theirs by 1999z: where a zone's rules changed"
    )
    assert zones in done.stdout
