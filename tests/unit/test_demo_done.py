"""When a demo that is to run until it is done is done."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from services.chassis.settings import Settings
from services.demo import runtime
from services.demo.rest import Rest, unread_deliveries
from services.status import Broker, Status, Store

FIRST, SECOND = (TopicPartition("delivery.completed.v1", part) for part in (0, 1))
OTHER = TopicPartition("delivery.corrected.v1", 0)


def demo(delivered: int) -> runtime.Demo:
    """After 90 deliveries of an earlier run, with 10 of its own that are all published and 8 messages acted on."""
    published = asyncio.Event()
    published.set()
    parts: dict[str, Any] = {
        "ledger": {"delivered": delivered, "asked": 80, "pending": 0},
        "delivered_before": 90,
        "upstream": SimpleNamespace(done=published, published=10),
        "recipients": SimpleNamespace(handled=8, asked_before=72),
        "supervisor": SimpleNamespace(kills={"notifier": 0}),
        "options": SimpleNamespace(kill=0),
        "settings": None,
    }
    return cast("runtime.Demo", SimpleNamespace(**parts))


def seen(positions: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> Status:
    broker = Broker(dict.fromkeys(ends, 5), ends)
    return Status(datetime(2026, 11, 23, tzinfo=UTC), {"notifier": Store(positions, 0, 0.0, 1)}, broker)


@pytest.mark.parametrize(
    ("delivered", "rest", "done"),
    [
        (100, Rest(unread=0, pending=0, held=0, messages=8), True),
        (101, Rest(unread=0, pending=0, held=0, messages=8), True),
        (99, Rest(unread=0, pending=0, held=0, messages=8), False),
        (100, Rest(unread=1, pending=0, held=0, messages=8), False),
        (100, Rest(unread=0, pending=2, held=1, messages=8), False),
        (100, Rest(unread=0, pending=2, held=2, messages=8), True),
        (100, Rest(unread=0, pending=0, held=0, messages=9), False),
        (100, None, False),
    ],
    ids=[
        "all its own",
        "one more, left by an earlier run",
        "one is missing",
        "as many as its own, but one that an earlier run left came first",
        "one is to be sent",
        "two wait for the morning",
        "one message is unread",
        "nobody can tell",
    ],
)
async def test_a_demo_is_done_when_nothing_that_was_published_is_left_to_do(
    monkeypatch: pytest.MonkeyPatch, delivered: int, rest: Rest | None, done: bool
) -> None:
    async def look(_: Settings, after: int) -> Rest | None:
        assert after == 72
        return rest

    monkeypatch.setattr(runtime, "look_at_rest", look)
    assert await runtime._is_done(demo(delivered)) is done


@pytest.mark.parametrize(
    ("positions", "unread"),
    [
        ({FIRST: 20, SECOND: 30, OTHER: 5}, 0),
        ({FIRST: 18, SECOND: 30, OTHER: 5}, 2),
        ({FIRST: 20, OTHER: 9}, 25),
    ],
    ids=["all read", "two are behind", "a partition that nobody has read yet"],
)
def test_what_the_notifier_has_not_read_is_counted_over_all_partitions(
    positions: dict[TopicPartition, int], unread: int
) -> None:
    assert unread_deliveries(seen(positions, {FIRST: 20, SECOND: 30, OTHER: 9})) == unread


def test_while_a_server_is_away_nobody_knows_what_is_unread() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert unread_deliveries(Status(now, {}, Broker({}, {}))) is None
    assert unread_deliveries(Status(now, {"notifier": Store({}, 0, 0.0, 1)}, None)) is None
    assert unread_deliveries(seen({}, {OTHER: 9})) is None
