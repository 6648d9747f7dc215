"""The pace of publishing, on a clock of its own: at once in quiet times, seldom while there is much to count."""

import asyncio
from typing import Any, cast

import pytest

from services.aggregator.publishing import publisher
from services.aggregator.publishing.pace import Pace
from services.aggregator.publishing.publisher import Publisher
from services.chassis.metrics import Metrics
from services.chassis.settings import Settings

PACE = Pace(interval=0.25, behind=5, comparing=60)


@pytest.mark.parametrize(
    ("waiting", "first_due"),
    [(0, 0.25), (400, 0.25), (1_000, 0.5), (4_000, 2.0), (10_000, 5.0), (3_000_000, 5.0)],
)
def test_the_time_between_passes_grows_with_what_waits_up_to_a_limit(waiting: int, first_due: float) -> None:
    quarters = [n / 4 for n in range(100)]
    assert next(s for s in quarters if PACE.pass_is_due(s, waiting)) == first_due


def test_while_far_behind_two_minutes_have_24_passes_and_in_quiet_times_480() -> None:
    def passes(waiting: int) -> int:
        made, last = 0, 0.0
        for now in (n / 4 for n in range(1, 481)):
            if PACE.pass_is_due(now - last, waiting):
                made, last = made + 1, now
        return made

    assert (passes(0), passes(50_000)) == (480, 24)


def test_a_full_memory_of_counted_cells_is_published_without_waiting_for_the_rest_of_the_time() -> None:
    assert not PACE.pass_is_due(0.2, 50_000, full=True)
    assert PACE.pass_is_due(0.25, 50_000, full=True)
    assert not PACE.pass_is_due(4.75, 50_000, full=False)


def test_the_topic_is_compared_every_period_and_a_large_one_takes_a_twentieth_of_the_time() -> None:
    assert not PACE.comparison_is_due(60, took=0, waiting=0)
    assert PACE.comparison_is_due(61, took=0, waiting=0)
    assert not PACE.comparison_is_due(260, took=10, waiting=0)
    assert PACE.comparison_is_due(261, took=10, waiting=0)


def test_a_comparison_is_put_off_while_counting_is_behind_but_not_for_ever() -> None:
    assert not PACE.comparison_is_due(61, took=0, waiting=10_000)
    assert not PACE.comparison_is_due(600, took=0, waiting=10_000)
    assert PACE.comparison_is_due(601, took=0, waiting=10_000)


class Counting(Publisher):
    """Publishes nothing, and tells when it would have."""

    passes: list[float]
    comparisons: list[float]

    async def publish_touched(self, *_: object) -> int:
        self.passes.append(self.clock())
        self.wake()
        return 0

    async def repair(self, *_: object) -> int:
        self.comparisons.append(self.clock())
        return 0


@pytest.mark.parametrize(
    ("waiting", "passes", "comparisons"), [(0, 480, [0.0, 60.25]), (2_000, 60, [0.0, 62.0]), (50_000, 12, [0.0])]
)
async def test_the_publisher_keeps_the_pace(
    monkeypatch: pytest.MonkeyPatch, waiting: int, passes: int, comparisons: list[float]
) -> None:
    now, stop = [0.0], asyncio.Event()

    async def pause(seconds: float, stop: asyncio.Event) -> bool:
        now[0] += seconds
        if now[0] >= 120:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(publisher, "pause_or_stop", pause)
    counting = Counting(Settings(), Metrics(), waiting=lambda: waiting, clock=lambda: now[0])
    counting.passes, counting.comparisons = [], []
    await counting._publish_until_stopped(*cast("tuple[Any, Any, Any]", (None, None, None)), stop)
    assert len(counting.passes) == passes
    assert counting.comparisons == comparisons
