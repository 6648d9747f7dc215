"""Whether what was said has been heard lately enough to send."""

import asyncio
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from services.chassis.metrics import Metrics
from services.notifier import hearing
from services.notifier.hearing import Hearing


@dataclass
class Kafka:
    """A clock, and whether all that it held has been heard; the look itself takes a second."""

    now: float = 100.0
    heard: bool = True

    def clock(self) -> float:
        return self.now

    async def all_heard(self) -> bool:
        self.now += 1
        return self.heard


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    monkeypatch.setattr(hearing, "_EVERY", 0)
    return Kafka()


async def _look(hears: Hearing, times: int = 1) -> None:
    stop = asyncio.Event()
    looks = 0
    ask = hears.all_heard

    async def counted() -> bool:
        nonlocal looks
        looks += 1
        if looks == times:
            stop.set()
        return await ask()

    hears.all_heard = counted
    await hears._run(stop)
    hears.all_heard = ask


async def test_nothing_was_heard_before_the_first_look(kafka: Kafka) -> None:
    assert not Hearing(kafka.all_heard, Metrics(), kafka.clock).is_current()


async def test_what_was_heard_counts_from_when_it_was_asked_and_for_three_seconds(kafka: Kafka) -> None:
    hears = Hearing(kafka.all_heard, Metrics(), kafka.clock)
    await _look(hears)
    assert hears.is_current()
    kafka.now = 103.0
    assert hears.is_current()
    kafka.now = 103.1
    assert not hears.is_current()


async def test_a_look_that_finds_something_unheard_leaves_the_moment_as_it_was(kafka: Kafka) -> None:
    hears = Hearing(kafka.all_heard, Metrics(), kafka.clock)
    await _look(hears)
    kafka.heard = False
    await _look(hears, times=3)
    assert not hears.is_current()
    kafka.heard = True
    await _look(hears)
    assert hears.is_current()


async def test_that_sending_waits_is_told_once_and_that_it_goes_on(kafka: Kafka) -> None:
    kafka.heard = False
    hears = Hearing(kafka.all_heard, Metrics(), kafka.clock)
    with capture_logs() as lines:
        await _look(hears, times=4)
        kafka.heard = True
        await _look(hears, times=4)
    assert [line["event"] for line in lines] == ["sending waits", "sending goes on"]


async def test_whether_sending_waits_is_measured(kafka: Kafka) -> None:
    hears = Hearing(kafka.all_heard, metrics := Metrics(), kafka.clock)
    seen = []
    for kafka.heard in (False, True, True, False):
        await _look(hears, times=4)
        seen.append(metrics.registry.get_sample_value("kvittera_sending_heard"))
    assert seen == [0, 1, 1, 0]


async def test_a_stop_does_not_wait_for_a_look() -> None:
    async def silent() -> bool:
        await asyncio.Event().wait()
        return True

    stop = asyncio.Event()
    async with asyncio.timeout(2):
        running = asyncio.create_task(Hearing(silent, Metrics()).run(stop))
        await asyncio.sleep(0)
        stop.set()
        await running
