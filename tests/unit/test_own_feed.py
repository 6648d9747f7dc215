"""How our own loop reads: it asks the broker to wait no longer than the service allows."""

import asyncio
import gc
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.chassis import own_feed
from services.chassis.consumer import Reader
from services.chassis.in_hand import InHand


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


Handed = Mapping[int, list[None]]


class Consumed:
    """A consumer that hands out some batches and then says stop, and a reader that notes what is done with them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *batches: Handed) -> None:
        self.batches = [*batches]
        self.stop = asyncio.Event()
        self.notes: list[str] = []
        self.looking: list[bool] = []
        consumer = SimpleNamespace(getmany=self.hand_out, start=_true, stop=_true, subscribe=lambda *_, **__: None)
        monkeypatch.setattr(own_feed, "make_consumer", lambda *_, **__: consumer)
        fence = SimpleNamespace(group="g", service="aggregator")
        reader = SimpleNamespace(
            fence=fence,
            topics=[],
            settings=SimpleNamespace(boot_patience_seconds=1),
            failure=None,
            member=None,
            prepare=_true,
            read_through=lambda _: None,
            receive=lambda batch: InHand(batch, {}),
            read_ahead=self.read_ahead,
            take=self.take,
        )
        self.reader = cast("Reader[Any]", reader)

    async def hand_out(self, **_: object) -> Handed:
        self.looking.append(gc.isenabled())
        if not self.batches:
            self.stop.set()
            return {}
        batch = self.batches.pop(0)
        self.notes.append(f"got {_size(batch)}")
        return batch

    async def read_ahead(self, received: InHand[Any]) -> None:
        if len(received):
            self.notes.append(f"read {len(received)}")

    async def take(self, received: InHand[Any]) -> None:
        await asyncio.sleep(0.01)
        if len(received):
            self.notes.append(f"applied {len(received)}")


async def _true(*_: object) -> bool:
    return True


def _size(batch: Handed) -> int:
    return sum(map(len, batch.values()))


async def test_cycles_are_looked_for_between_large_batches_and_as_always_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consumed = Consumed(monkeypatch, {0: [None] * 10_000}, {0: [None] * 4_000, 1: [None] * 6_000}, {0: [None] * 9_999})
    await own_feed.consume(consumed.reader, consumed.stop, max_records=1)
    # The second and third are asked for while the first and second are applied.
    assert (consumed.looking, gc.isenabled()) == ([True, True, False, True], True)


@pytest.mark.parametrize(("small", "times"), [(15, 0), (16, 1), (40, 1)])
async def test_memory_goes_back_when_sixteen_batches_in_a_row_were_small(
    monkeypatch: pytest.MonkeyPatch, small: int, times: int
) -> None:
    given_back = list[None]()
    monkeypatch.setattr(own_feed, "give_back_memory", lambda: given_back.append(None))
    consumed = Consumed(monkeypatch, {0: [None] * 10_000}, *[{0: [None]}] * 9, {0: [None] * 10_000})
    consumed.batches += [{0: [None]}] * (small - 1)  # and none at the end
    await own_feed.consume(consumed.reader, consumed.stop, max_records=1)
    assert len(given_back) == times


async def test_cycles_are_looked_for_behind_each_sixteenth_large_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[int]()
    consumed = Consumed(monkeypatch, *[{0: [None] * 10_000}] * 33, {0: [None]})
    monkeypatch.setattr(gc, "collect", looks.append)
    await own_feed.consume(consumed.reader, consumed.stop, max_records=1)
    assert looks == [1, 1]


async def test_the_next_batch_is_read_while_a_large_one_is_applied_and_waits_while_a_small_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consumed = Consumed(monkeypatch, {0: [None] * 10_000}, {0: [None] * 9_999}, {0: [None] * 8})
    await own_feed.consume(consumed.reader, consumed.stop, max_records=1)
    assert consumed.notes == [
        "got 10000",
        "got 9999",
        "read 9999",
        "applied 10000",
        "applied 9999",
        "got 8",
        "applied 8",
    ]
