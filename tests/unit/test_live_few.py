"""What the stream of a live page hides: what fewer than five people said, and what would tell of them."""

import asyncio
from typing import Any

from services.aggregator.figures.figures import counters
from services.aggregator.live.scope import Scope
from tests.live_cells import NOW, Database, scopes, told


class Few(Database):
    """So many answers, with a comment each, and as many people who say that nothing came."""

    async def fetch(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        rows = await super().fetch(statement, *values)
        n = self.satisfied
        return [r | {"s5": 0, "s4": n, "s1": 0, "commented": 2 * n, "contested": n, "version": 7 + n} for r in rows]


async def few(*answers: int) -> list[Any]:
    """What a reader hears who comes at the first of these numbers and stays for the others, and whoever looks once."""
    watched, database = scopes(), Few()
    feed = watched.feed(Scope())
    assert feed is not None
    database.satisfied = answers[0]
    await watched.tick(database)  # type: ignore[arg-type]
    events = feed.events(asyncio.Event())
    heard = [told(await anext(events))[1]]
    for number in answers[1:]:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        database.satisfied = number
        await watched.tick(database)  # type: ignore[arg-type]
        heard.append(told(await waiting)[1])
    await events.aclose()
    return [*heard, feed.snapshot()]


SAID = ("answers", "scores", "commented", "contested")


async def test_the_stream_holds_nothing_of_what_fewer_than_five_people_said() -> None:
    *heard, picture = await few(1, 2, 4)
    for event in (*heard, picture):
        assert [event["total"][name] for name in SAID] == [None] * 4
        assert (event["total"]["delivered"], event["total"]["asked"]) == (2000, 1000)
        assert (event.get("point"), event.get("history", []), event["line"]) == (None, [], [])
        assert event["figures"]["too_few"]


async def test_from_five_answers_on_the_stream_tells_them_and_nothing_of_before() -> None:
    *heard, picture = await few(4, 5, 6)
    assert [event["total"]["answers"] for event in heard] == [None, 5, 6]
    assert [event.get("point") for event in heard] == [None, [NOW.timestamp(), 5, 5], [NOW.timestamp(), 6, 6]]
    assert picture["history"] == [[NOW.timestamp(), 5, 5], [NOW.timestamp(), 6, 6]]


async def test_a_day_that_begins_with_few_answers_does_not_repeat_the_point_of_the_day_before() -> None:
    *heard, _ = await few(9, 3)
    assert [event.get("point") for event in heard] == [None, None]  # a picture has its history


async def test_that_nobody_answered_is_told_but_not_what_those_said_who_got_nothing() -> None:
    total = {"answers": 0, "scores": [0] * 5, "commented": 0, "contested": 0, "delivered": 9}
    assert counters(total) == total
    assert counters(total | {"commented": 1, "contested": 1}) == {
        "answers": 0,
        "scores": None,
        "commented": None,
        "contested": None,
        "delivered": 9,
    }
