"""What a live page looks at: the scope in the address, one statement for everybody, and what is written once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from services.aggregator.live import feed as live
from services.aggregator.live import scopes as live_scopes
from services.aggregator.live.scope import Scope, Span, row_of, scope_of, today_in, zone_named
from services.aggregator.live.scopes import LiveScopes
from services.chassis.failures import MustStop
from tests.live_cells import NOW, STOCKHOLM, Counter, Database, Pool, scopes, told


def test_an_address_names_the_scope_and_what_it_leaves_out_is_today_by_terminal() -> None:
    assert scope_of({}) == Scope(Span.TODAY, "terminal", None)
    assert scope_of({"span": "month", "rows": "country", "row": "SE"}) == Scope(Span.MONTH, "country", None)
    assert scope_of({"rows": "country", "method": "home_day"}) == Scope(Span.TODAY, "terminal", "home_day")
    assert row_of({"row": "Å" * 900}) == "Å" * 400


@pytest.mark.parametrize("query", [{"span": "week"}, {"rows": "driver"}, {"rows": "route"}, {"method": "by_drone"}])
def test_an_address_that_names_nothing_of_ours_or_people_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        scope_of(query)


def test_today_begins_at_midnight_on_the_clock_of_the_deliveries() -> None:
    assert today_in(STOCKHOLM, NOW) == date(2026, 10, 13)
    assert Scope().total(date(2026, 10, 13)).code == (1 << 30) + 20739
    assert Scope(Span.MONTH).total(date(2026, 10, 13)).code == (2 << 30) + 681
    with pytest.raises(MustStop, match="KVITTERA_PAGES_ZONE"):
        zone_named("Europe")


async def test_a_thousand_readers_of_many_scopes_cost_one_statement_per_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = live._event

    def noted(name: str, data: dict[str, Any], event_id: str) -> bytes:
        written.append(name)
        return write(name, data, event_id)

    monkeypatch.setattr(live, "_event", noted)
    watched, ending, database = scopes(), asyncio.Event(), Database()
    wanted = [Scope(), Scope(Span.ALL), Scope(Span.MONTH), Scope(Span.TODAY, "country"), Scope(method="home_day")]
    streams = []
    for i in range(1000):
        feed = watched.feed(wanted[i % 5])
        assert feed is not None
        streams.append(feed.events(ending))
    await watched.tick(database)  # type: ignore[arg-type]  # a small fake
    assert {told(await anext(s))[0] for s in streams} == {"snapshot"}
    written.clear()
    asked = len(database.asked)
    waiting = [asyncio.ensure_future(anext(s)) for s in streams]
    await asyncio.sleep(0)
    database.satisfied += 1
    await watched.tick(database)  # type: ignore[arg-type]
    events = [told(event) for event in await asyncio.gather(*waiting)]
    assert {name for name, _ in events} == {"update"}
    assert {data["figures"]["answers"] for _, data in events} == {101}
    assert len(database.asked) - asked == 1
    assert written == ["update"] * 5
    for stream in streams:
        await stream.aclose()


async def test_rows_of_one_method_are_named_by_their_terminal() -> None:
    watched = scopes()
    feed = watched.feed(Scope(method="home_day"))
    assert feed is not None
    await watched.tick(Database())  # type: ignore[arg-type]
    picture = feed.snapshot()
    assert [r["value"] for r in picture["terminals"]["shown"]] == ["Årsta"]
    assert picture["reasons"] == {}
    assert watched.feed(Scope()).snapshot()["reasons"] == {"not_sampled": 7}  # type: ignore[union-attr]
    assert picture["scope"] == {"span": "today", "rows": "terminal", "method": "home_day", "zone": "Europe/Stockholm"}


async def test_answers_that_are_kept_apart_are_told_beside_the_figures_but_not_by_method() -> None:
    watched = scopes()
    feed = watched.feed(Scope(method="home_day"))
    assert feed is not None
    await watched.tick(Database())  # type: ignore[arg-type]
    assert feed.snapshot()["apart"] == {"answers": {}, "raw": None}
    told = watched.feed(Scope()).snapshot()["apart"]  # type: ignore[union-attr]
    assert told["answers"] == {"machine": 100}
    assert (told["raw"]["n"], told["raw"]["share"]) == (200, 0.9)


class Alarmed(Database):
    """Today's alarm of Årsta beside the one statement of a tick; Luleå has so many satisfied."""

    def __init__(self, other: int = 90) -> None:
        super().__init__()
        self.other = other

    async def fetch(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        if "FROM alert" in statement:
            return [{"value": "Årsta", "day": 20739, "since": 20739, "raised_at": NOW}]
        if "dissatisfied" in statement and values[0] == "terminal":
            return [{"value": n, "day": 20739, "satisfied": 9, "dissatisfied": 0, "answers": 9} for n in ("Årsta", "U")]
        rows = await super().fetch(statement, *values)
        return [r | {"s5": self.other, "s1": 0} if r["value"] == "Luleå" else r for r in rows]


async def test_alerts_are_told_with_the_numbers_and_at_once_though_no_number_moved() -> None:
    watched, database = scopes(), Alarmed()
    feed = watched.feed(Scope())
    assert feed is not None
    await watched.tick(database)  # type: ignore[arg-type]
    events = feed.events(asyncio.Event())
    assert told(await anext(events))[1]["alerts"] == []
    await watched._read_past(database, 1.0)  # type: ignore[arg-type]
    assert told(await anext(events))[0] == "past"
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await watched.tick(database)  # type: ignore[arg-type]
    async with asyncio.timeout(9):
        name, data = told(await waiting)
    mark = {"value": "Årsta", "at": NOW.timestamp(), "time": "00:30", "since": "2026-10-13"}
    assert (name, data["alerts"]) == ("update", [mark])
    await events.aclose()


async def test_an_alert_leaves_the_stream_when_its_row_hides() -> None:
    watched, database = scopes(), Alarmed()
    feed = watched.feed(Scope())
    assert feed is not None
    await watched._read_past(database, 1.0)  # type: ignore[arg-type]
    await watched.tick(database)  # type: ignore[arg-type]
    assert [a["value"] for a in feed.snapshot()["alerts"]] == ["Årsta"]
    database.other = 4
    await watched.tick(database)  # type: ignore[arg-type]
    assert [r["value"] for r in feed.snapshot()["terminals"]["hidden"]] == ["Årsta", "Luleå"]
    assert feed.snapshot()["alerts"] == []


class Away(Pool):
    """A pool whose database fails as told, and is well when nothing is left to tell."""

    def __init__(self, stop: asyncio.Event, *errors: Exception | None) -> None:
        super().__init__()
        self.stop, self.errors = stop, [*errors]

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Database]:
        error = self.errors.pop(0)
        if not self.errors:
            self.stop.set()
        if error is not None:
            raise error
        yield self.database


async def test_a_database_that_is_away_is_logged_once_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_scopes, "PERIOD", 0.0)
    stop = asyncio.Event()
    gone = asyncpg.AdminShutdownError("gone")
    pool = Away(stop, gone, ConnectionResetError(), None, gone, None)
    watched = LiveScopes(pool, Counter(), STOCKHOLM, now=lambda: NOW)  # type: ignore[arg-type]
    with capture_logs() as logs:
        await watched.run(stop)
    assert [(entry["action"], entry["error"]) for entry in logs] == [("retry", "AdminShutdownError")] * 2
    assert watched.feed(Scope()).snapshot()["figures"]["answers"] == 100  # type: ignore[union-attr]


async def test_what_does_not_pass_by_itself_ends_the_reading_loudly() -> None:
    stop = asyncio.Event()
    pool = Away(stop, asyncpg.UndefinedColumnError("no such column"))
    with pytest.raises(asyncpg.UndefinedColumnError):
        await LiveScopes(pool, Counter(), STOCKHOLM, now=lambda: NOW).run(stop)  # type: ignore[arg-type]


async def test_a_chosen_row_is_told_its_own_line() -> None:
    watched, database = scopes(), Database()
    feed = watched.feed(Scope())
    assert feed is not None
    await watched.tick(database)  # type: ignore[arg-type]
    events = feed.events(asyncio.Event(), None, "Årsta")
    assert [told(await anext(events))[0] for _ in range(2)] == ["snapshot", "row"]
    strangers = feed.events(asyncio.Event(), None, "Kiruna")
    assert told(await anext(strangers))[0] == "snapshot"
    await events.aclose()
    await strangers.aclose()


async def test_scopes_that_nobody_watches_make_room_and_too_many_watched_ones_are_refused() -> None:
    watched, streams, moments = scopes(), [], [100.0]
    watched.clock = lambda: moments[-1]
    every = [Scope(span, rows, None) for span in Span for rows in ("terminal", "country", "method")]
    every += [Scope(span, "terminal", f"method-{n}") for span in Span for n in range(30)]
    for scope in every[:60]:
        feed = watched.feed(scope)
        assert feed is not None
        streams.append(feed.events(asyncio.Event()))
        await anext(streams[-1])
    assert watched.feed(every[60]) is None
    await streams[-1].aclose()
    assert watched.feed(every[60]) is None, "somebody asked for it a moment ago"
    moments.append(111.0)
    assert watched.feed(every[60]) is not None
    for stream in streams:
        await stream.aclose()


async def test_the_past_is_told_when_it_comes_and_once_to_each_reader() -> None:
    watched, ending = scopes(), asyncio.Event()
    feed = watched.feed(Scope())
    assert feed is not None
    await watched.tick(Database())  # type: ignore[arg-type]
    await feed.take_past({"days": {}, "usual": None})
    events = feed.events(ending)
    assert [told(await anext(events))[0] for _ in range(2)] == ["snapshot", "past"]
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await feed.take_past({"days": {"Årsta": [0.5]}, "usual": None})
    assert told(await waiting) == ("past", {"days": {"Årsta": [0.5]}, "usual": None})
    await events.aclose()
