"""Published rows go after their time, whatever waits before them."""

from dataclasses import dataclass, field

from services.chassis.outbox_cleaning import Cleaning
from services.chassis.postgres import Pool

WEEK = 7 * 86_400


@dataclass
class House:
    """A cleaning on a clock of its own, and the outbox it cleans."""

    pool: Pool
    now: float = 0.0
    cleaning: Cleaning = field(init=False)

    def __post_init__(self) -> None:
        self.cleaning = Cleaning(3 * 86_400, lambda: self.now)

    async def wrote(self, topic: str, rows: int, *, seconds_ago: float = WEEK, waiting: bool = False) -> None:
        await self.pool.execute(
            "INSERT INTO outbox (shard, topic, key, value, happened_at)"
            " SELECT 0, $1, 'k', '', now() - make_interval(secs => $3) FROM generate_series(1, $2)",
            topic,
            rows,
            seconds_ago,
        )
        if not waiting:
            await self.published(topic)

    async def published(self, topic: str) -> None:
        await self.pool.execute(
            "DELETE FROM outbox_waiting WHERE id IN (SELECT id FROM outbox WHERE topic = $1)", topic
        )

    async def clean(self, *, looks: int) -> dict[str, int]:
        async with self.pool.acquire() as connection:
            for _ in range(looks):
                await self.cleaning.go_on(connection)
        rows = await self.pool.fetch("SELECT topic, count(*) AS n FROM outbox GROUP BY topic")
        return {r["topic"]: r["n"] for r in rows}


async def test_rows_that_wait_for_days_do_not_keep_published_ones_behind_them(notifier_pool: Pool) -> None:
    house = House(notifier_pool)
    await house.wrote("lost.v1", 10_001, waiting=True)
    await house.wrote("old.v1", 15_000)
    await house.wrote("young.v1", 2, seconds_ago=60)
    # 25,001 old rows in looks of 10,000, without a pause between them.
    assert await house.clean(looks=3) == {"lost.v1": 10_001, "young.v1": 2}


async def test_a_row_that_waited_when_it_was_passed_goes_once_it_is_published(notifier_pool: Pool) -> None:
    house = House(notifier_pool)
    await house.wrote("lost.v1", 1, waiting=True)
    for house.now in (0, 60):  # the first look of all is made twice
        assert await house.clean(looks=2) == {"lost.v1": 1}
    await house.published("lost.v1")
    house.now = 3_599
    assert await house.clean(looks=2) == {"lost.v1": 1}
    house.now = 3_659  # an hour is over: the next round begins with the first row
    assert await house.clean(looks=1) == {"lost.v1": 1}
    house.now = 3_719
    assert await house.clean(looks=1) == {}


async def test_between_two_rounds_is_a_minute(notifier_pool: Pool) -> None:
    house = House(notifier_pool)
    assert await house.clean(looks=1) == {}
    await house.wrote("old.v1", 1)
    house.now = 59
    assert await house.clean(looks=1) == {"old.v1": 1}
    house.now = 60
    assert await house.clean(looks=1) == {}
