"""How long the relay lets rows gather: never in quiet times, never while a pass leaves rows behind."""

import asyncio
from itertools import pairwise

import asyncpg
import pytest

from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay, _Moved, seconds_to_gather
from services.chassis.settings import Settings


@pytest.mark.parametrize("moved", [1, 24])
def test_few_rows_are_followed_at_once(moved: int) -> None:
    assert seconds_to_gather(moved, 0.005) == 0


@pytest.mark.parametrize("moved", [25, 80])
def test_many_rows_gather_until_forty_milliseconds_after_the_pass_began(moved: int) -> None:
    assert seconds_to_gather(moved, 0.015) == pytest.approx(0.025)


@pytest.mark.parametrize(("a_second", "settles_at"), [(1_900, 0.04), (2_200, 0.12), (10_000, 0.12)])
def test_rows_gather_three_times_as_long_while_more_than_two_thousand_come_a_second(
    a_second: int, settles_at: float
) -> None:
    pause = 0.04
    for _ in range(20):
        pause = seconds_to_gather(round(a_second * pause), 0.0)
    assert pause == settles_at


def test_a_pass_that_took_longer_is_followed_at_once() -> None:
    assert seconds_to_gather(80, 0.041) == 0


class Nothing:
    """A connection and a producer that have nothing to do."""

    async def execute(self, *_: object) -> str:
        return "DELETE 0"

    async def fetch(self, *_: object, **__: object) -> list[object]:
        return []

    async def fetchrow(self, *_: object) -> dict[str, object]:
        return {"behind": 0, "more": False}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def terminate(self) -> None: ...


@pytest.mark.parametrize("more", [False, True], ids=["all", "some left"])
async def test_the_relay_lets_rows_gather_after_a_pass_that_moves_many_unless_it_leaves_some_behind(
    monkeypatch: pytest.MonkeyPatch, more: bool
) -> None:
    stop, began = asyncio.Event(), list[float]()
    relay = Relay(Settings.model_validate({"sealing_key": "5e" * 32}), "survey", Metrics())

    async def no_connection(*_: object, **__: object) -> Nothing:
        return Nothing()

    async def nothing(*_: object) -> list[int]:
        return [0, 1, 2, 3]

    async def move(*_: object) -> _Moved:
        began.append(asyncio.get_running_loop().time())
        if len(began) == 3:
            stop.set()
        return _Moved(80, more)

    monkeypatch.setattr("services.chassis.outbox.connect", no_connection)
    monkeypatch.setattr("services.chassis.outbox.make_producer", lambda *_, **__: Nothing())
    monkeypatch.setattr("services.chassis.outbox.stop_producer", nothing)
    monkeypatch.setattr(relay, "_measure", nothing)
    monkeypatch.setattr(relay, "_take_shards", nothing)
    monkeypatch.setattr(relay, "_move", move)
    await relay.run(stop)
    assert len(began) == 3
    assert [later - earlier > 0.035 for earlier, later in pairwise(began)] == [not more, not more]


async def test_a_server_that_ends_in_the_middle_of_a_statement_ends_no_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, metrics, sessions = asyncio.Event(), Metrics(), list[int]()
    relay = Relay(Settings.model_validate({"sealing_key": "5e" * 32}), "survey", metrics)

    async def session(_: asyncio.Event) -> None:
        sessions.append(1)
        if len(sessions) == 1:
            raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
        stop.set()

    monkeypatch.setattr(relay, "_session", session)
    await relay.run(stop)
    assert metrics.registry.get_sample_value("kvittera_retries_total", {"what": "relay"}) == 1
