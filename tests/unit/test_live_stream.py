"""The event stream of the live page: who comes back gets what was missed, or the whole picture."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from services.aggregator.figures.rows import rows_of
from services.aggregator.live.feed import LiveFeed


class Feed(LiveFeed):
    """A feed whose counters a test sets."""

    async def turn(self, version: int) -> None:
        total = {"version": version, "scores": [0, 0, 0, 0, version], "answers": version}
        self._latest = {"total": total, "as_of": "now", "behind": 0}
        self._history.append([float(version), version, version])
        self._note_change()
        async with self._changed:
            self._changed.notify_all()


def feed() -> Feed:
    return Feed()


def told(event: bytes) -> tuple[str, str, Any]:
    name, event_id, data = event.decode().strip().split("\n")
    return name.removeprefix("event: "), event_id.removeprefix("id: "), orjson.loads(data.removeprefix("data: "))


async def first(events: AsyncIterator[bytes]) -> tuple[str, str, Any]:
    async with asyncio.timeout(10):
        return told(await anext(events))


async def test_a_new_reader_gets_the_whole_picture_and_then_each_change_with_an_id_of_its_own() -> None:
    live = feed()
    await live.turn(1)
    events = live.events(asyncio.Event())
    name, first_id, picture = await first(events)
    assert (name, picture["history"]) == ("snapshot", [[1.0, 1, 1]])
    waiting = asyncio.ensure_future(first(events))
    await asyncio.sleep(0)
    await live.turn(2)
    name, second_id, change = await waiting
    assert (name, change["point"], change["total"]["answers"]) == ("update", [2.0, 2, 2], 2)
    assert first_id != second_id


async def test_a_reader_who_comes_back_gets_what_was_missed_point_by_point() -> None:
    live = feed()
    await live.turn(1)
    _, last, _ = await first(live.events(asyncio.Event()))
    for version in (2, 3, 4):
        await live.turn(version)
    events = live.events(asyncio.Event(), last)
    missed = [await first(events) for _ in range(3)]
    assert [(name, data["point"][0]) for name, _, data in missed] == [("update", 2.0), ("update", 3.0), ("update", 4.0)]


async def test_a_reader_who_missed_nothing_gets_the_present_numbers_without_the_past() -> None:
    live = feed()
    await live.turn(1)
    _, last, _ = await first(live.events(asyncio.Event()))
    name, _, data = await first(live.events(asyncio.Event(), last))
    assert (name, data["total"]["answers"]) == ("update", 1)


async def test_a_reader_who_was_away_too_long_or_comes_from_another_process_gets_the_whole_picture() -> None:
    live, other = feed(), feed()
    await live.turn(1)
    await other.turn(1)
    _, last, _ = await first(live.events(asyncio.Event()))
    _, foreign, _ = await first(other.events(asyncio.Event()))
    for version in range(2, 30):
        await live.turn(version)
    for strange in (last, foreign, "", "x", f"{last.partition('-')[0]}-99", f"{last.partition('-')[0]}-²"):
        name, _, _ = await first(live.events(asyncio.Event(), strange))
        assert name == "snapshot", strange


async def test_the_line_of_a_row_with_millions_of_answers_is_made_of_what_was_answered() -> None:
    live, terminal = feed(), {"value": "Årsta", "asked": 3 * 10**7, "delivered": 4 * 10**7, "reached": 0}
    satisfied = 9 * 10**6
    for window in range(20):
        satisfied += 18 if window < 10 else 2
        answers = 10**7 + 20 * (window + 1)
        cell = terminal | {"scores": [0, answers - satisfied, 0, 0, satisfied], "answers": answers}
        rows = rows_of("terminal", [cell], cell)
        await live.take({"total": cell | {"version": window}, "terminals": rows}, 2.0 * window)
    # .1 + .8 * .85^10: ten windows with 2 of 20 after as many with 18 of 20
    assert live._lines["Årsta"].points()[-1][1] == pytest.approx(0.2575, abs=1e-4)
    assert live._lines["Årsta"].points() == live._line.points()
