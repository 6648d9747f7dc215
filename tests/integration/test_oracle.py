"""The oracle of the fault tests sees what must never be: asked with tables that were forged."""

from functools import partial

import pytest

from schemas.topics import RESPONSE_RECORDED
from services.aggregator.counting.reading import TOPICS
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.counting import pool
from tests.drawn_records import begun_at, broken_below, chunks, counting, drawn, listed
from tests.harness import begin
from tests.integration.test_killed_counters import from_the_start
from tests.oracle import Watch

__all__ = ["pool"]
pytestmark = pytest.mark.service("aggregator")
SEED, ANSWERS = 930, 40
TWICE = """
INSERT INTO outbox (shard, topic, key, value, raw_headers)
SELECT shard, topic, key, value, raw_headers FROM outbox WHERE raw_headers IS NOT NULL LIMIT 1
"""


@pytest.fixture
async def half_counted(pool: Pool) -> Pool:
    """Half of the records are counted, some of them put aside."""
    for topic in TOPICS:
        await begin(pool, topic)
    batches = list(chunks(SEED, ANSWERS, {}))
    for batch in batches[: len(batches) // 2]:
        await counting(pool).take(batch)
    return pool


@pytest.fixture
def watch(settings: Settings) -> Watch:
    return Watch(settings, listed(SEED, ANSWERS))


async def test_counters_that_are_right_are_found_right_and_every_broken_record_is_put_aside(
    half_counted: Pool, watch: Watch
) -> None:
    async with watch.looking(least=3):
        await watch.sees()
        for batch in chunks(SEED, ANSWERS, await begun_at(half_counted)):
            await counting(half_counted).take(batch)
        await watch.sees()
    ends = await begun_at(half_counted)
    assert sum(ends.values()) == len(drawn(SEED, ANSWERS))
    letters = await half_counted.fetchval("SELECT count(*) FROM outbox WHERE raw_headers IS NOT NULL")
    assert letters == broken_below(SEED, ANSWERS, ends) >= 3


@pytest.mark.parametrize(
    ("forgery", "seen"),
    [
        ("UPDATE cell SET s5 = s5 + 1 WHERE cell = (SELECT min(cell) FROM cell)", "should be"),
        ("UPDATE cell SET version = version - 1 WHERE cell = (SELECT min(cell) FROM cell)", "from version"),
        ("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE raw_headers IS NOT NULL)", " in, but "),
        (TWICE, " in, but "),
        (f"UPDATE progress SET next = next + 1 WHERE topic = '{RESPONSE_RECORDED}'", " in, but "),
        (f"UPDATE progress SET next = next - 1 WHERE topic = '{RESPONSE_RECORDED}'", "goes back from"),
    ],
    ids=["a wrong counter", "an old cell", "a letter lost", "a letter twice", "a record passed over", "a step back"],
)
async def test_what_was_forged_is_seen(half_counted: Pool, watch: Watch, forgery: str, seen: str) -> None:
    async def forge() -> None:
        async with watch.looking(least=1):
            await watch.sees()
            assert watch.wrong == []
            await half_counted.execute(forgery)
            await watch.sees()

    with pytest.raises(AssertionError, match=seen):
        await forge()


async def look(watch: Watch, least: int) -> None:
    async with watch.looking(least=least):
        await watch.sees()


async def test_an_answer_that_no_record_told_is_seen(half_counted: Pool, watch: Watch) -> None:
    await half_counted.execute("UPDATE progress SET next = 0")
    with pytest.raises(AssertionError, match="no record accounts for"):
        await look(watch, 1)


@pytest.mark.usefixtures("half_counted")
async def test_a_watch_that_did_not_look_proves_nothing_and_fails(watch: Watch) -> None:
    with pytest.raises(AssertionError, match=r"only \d looks"):
        await look(watch, 100)


async def test_what_is_taken_back_on_purpose_between_looks_is_no_fault(half_counted: Pool, watch: Watch) -> None:
    async with watch.looking(least=2):
        await watch.sees()
        await watch.between_looks(partial(from_the_start, half_counted))
        await watch.sees()
