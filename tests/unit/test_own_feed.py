"""How our own loop reads: it asks the broker to wait no longer than the service allows."""

import asyncio
import gc
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.chassis import own_feed
from services.chassis.consumer import Reader


class MadeError(Exception):
    """The consumer has been asked for."""


@pytest.mark.parametrize(
    ("chosen", "waits", "most"),
    [({}, 100, 4 * 1024 * 1024), ({"fetch_wait_ms": 25, "fetch_bytes": 1000}, 25, 1000)],
)
async def test_the_broker_waits_as_long_and_sends_as_much_as_the_service_allows(
    chosen: dict[str, int], waits: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def make(*_: object, **how: object) -> None:
        asked.append(how)
        raise MadeError

    async def prepare(_: asyncio.Event) -> bool:
        return True

    monkeypatch.setattr(own_feed, "make_consumer", make)
    fence = SimpleNamespace(group="g", service="aggregator")
    reader = cast("Reader[Any]", SimpleNamespace(prepare=prepare, settings=None, fence=fence, member=None))
    with pytest.raises(MadeError):
        await own_feed.consume(reader, asyncio.Event(), max_records=1, **chosen)
    assert [(how["fetch_max_wait_ms"], how["max_partition_fetch_bytes"]) for how in asked] == [(waits, most)]


async def test_cycles_are_looked_for_between_large_batches_and_as_always_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = asyncio.Event()
    batches = [{0: [None] * 10_000}, {0: [None] * 4_000, 1: [None] * 6_000}, {0: [None] * 9_999}, {}]
    looking: list[bool] = []

    async def getmany(**_: object) -> dict[int, list[None]]:
        looking.append(gc.isenabled())
        if len(batches) == 1:
            stop.set()
        return batches.pop(0)

    async def nothing(*_: object) -> bool:
        return True

    consumer = SimpleNamespace(getmany=getmany, start=nothing, stop=nothing, subscribe=lambda *_, **__: None)
    monkeypatch.setattr(own_feed, "make_consumer", lambda *_, **__: consumer)
    fence = SimpleNamespace(group="g", service="aggregator")
    faces = {"prepare": nothing, "take": nothing, "read_through": lambda _: None, "failure": None, "member": None}
    settings = SimpleNamespace(boot_patience_seconds=1)
    reader = cast("Reader[Any]", SimpleNamespace(fence=fence, topics=[], settings=settings, **faces))
    await own_feed.consume(reader, stop, max_records=1)
    assert (looking, gc.isenabled()) == ([True, False, False, True], True)
