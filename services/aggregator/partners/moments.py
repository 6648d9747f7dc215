"""What is published to a partner at each moment of its grid, window by window.

The table `partner_cell` is the truth of a partner's topic and API: both hand out its bytes and nothing else.
Cells never cross windows, so at most one window is in memory, as respondents who are alike; and a window that can
release nothing is not read again before its answers, the rules or the cuts change (`Windows`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import orjson

from services.aggregator.counting.cuts import TOTAL
from services.aggregator.partners.partners import partner_of, rules_of
from services.aggregator.partners.publication import (
    Atom,
    Attempt,
    Cell,
    Changed,
    Rules,
    Scores,
    attempts,
    cells,
    standing,
)
from services.aggregator.partners.views import View, is_held, is_settled, last_moment
from services.aggregator.partners.windows import Windows, hours_of
from services.chassis.postgres import Database, named_sql
from services.chassis.settings import Settings


@dataclass(frozen=True, slots=True)
class Publication:
    """Works out what a partner sees from its moment on, and keeps it in the tables."""

    settings: Settings
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "partners.sql"))

    async def make(self, connection: Database, partner: str, now: datetime) -> int | None:
        """Publish what is due; returns how many cells changed, or None where nothing is due yet.

        One transaction: a crash leaves either the moment before or this one. Two processes at once take turns at
        the partner's row.

        Raises:
            SerializationError: another process published meanwhile; tried again, nothing is due.
        """
        async with connection.transaction(isolation="repeatable_read"):
            row = await connection.fetchrow(self.sql["lock_partner"], partner)
            if row is None:
                return None
            view, moment = partner_of(row).view, last_moment(row["grid"], now)
            if moment <= row["published_at"]:
                return None
            others = [partner_of(r).view for r in await connection.fetch(self.sql["all_partners"])]
            windows = Windows(connection, self.sql, view, rules_of(view, others, self.settings))
            work = _Work(connection, self.sql, view, windows.rules, moment)
            kept = 0
            await connection.execute(self.sql["make_changed"])
            for start, mark in await windows.unread():
                changed, quiet = await work.publish(start)
                kept += changed
                await windows.was_read(start, mark if quiet else None)
            await connection.execute(self.sql["worked_on"], partner, moment)
        return kept


@dataclass(frozen=True, slots=True)
class _Work:
    """One moment of one partner, in its transaction."""

    connection: Database
    sql: Mapping[str, str]
    view: View
    rules: Rules
    moment: datetime

    async def publish(self, start: str) -> tuple[int, bool]:
        """Bring one window up to date; returns how many cells changed, and whether it is quiet."""
        view = self.view
        await self.connection.execute(self.sql["forget_changed"])
        hours = hours_of(view.window, start)
        await self.connection.execute(
            self.sql["gather"], view.partner, view.merchants, view.cuts, start, hours.start, hours.stop
        )
        waiting = [_changed(r, start) for r in await self.connection.fetch(self.sql["alike"])]
        before = {_atom(r, start): _scores(r) for r in await self._released(start)}
        tried = attempts(
            waiting,
            before,
            self.rules,
            is_over=lambda window: is_settled(window, self.moment),
            hold=lambda atom: is_held(self.view.lot, self.moment, atom),
        )
        made = [t for t in tried if t.is_release]
        await self._note(t for t in tried if not t.is_release)
        await self._release(start, made)
        after = await self._released(start)
        out = {c.respondent for r in made for c in r.changed}
        still = standing(
            {_atom(r, start): _scores(r) for r in after},
            (c for c in waiting if c.respondent not in out),
            self.rules.k,
        )
        grouped = {_atom(r, start): r["units"] for r in after if r["grouped"]}
        # Where nothing was even looked at, each later moment ends alike.
        quiet = is_settled(start, self.moment) and not tried
        return await self._keep(start, still, grouped), quiet

    async def _released(self, start: str) -> list[asyncpg.Record]:
        return await self.connection.fetch(self.sql["released"], self.view.partner, start)

    async def _note(self, in_vain: Iterable[Attempt]) -> None:
        rows = [(int(c.respondent), a.is_last) for a in in_vain for c in a.changed]
        if rows:
            await self.connection.execute(self.sql["note_tried"], self.view.partner, *zip(*rows, strict=True))

    async def _release(self, start: str, made: Iterable[Attempt]) -> None:
        rows = [(int(c.respondent), len(r.atom.path), r.atom.grouped) for r in made for c in r.changed]
        if rows:
            await self.connection.execute(self.sql["release"], self.view.partner, start, *zip(*rows, strict=True))
            await self.connection.execute(self.sql["forget_tried"], self.view.partner, [who for who, _, _ in rows])

    async def _keep(self, start: str, visible: Mapping[Atom, Scores], grouped: Mapping[Atom, int]) -> int:
        view, k = self.view, self.rules.k
        units = {(a.window, len(a.path) + 1, a.path[-1] if a.path else ""): n for a, n in grouped.items()}
        new = {
            cell_key(view, cell): said(view, cell, scores, k, units.get((cell.window, cell.level, cell.unit)))
            for cell, scores in cells(visible).items()
        }
        old = {r["key"]: r for r in await self.connection.fetch(self.sql["cells_of_window"], view.partner, start)}
        changed = []
        for key in sorted({*new, *old}):
            version = old[key]["version"] + 1 if key in old else 1
            if not _is_same(old[key]["value"] if key in old else None, new.get(key)):
                told = {**new[key], "version": version, "as_of": self.moment.isoformat()} if key in new else None
                changed.append((view.partner, key, version, orjson.dumps(told) if told else None, self.moment))
        await self.connection.executemany(self.sql["keep_cell"], changed)
        return len(changed)


def cell_key(view: View, cell: Cell) -> str:
    """The record key of a partner's cell: the same cell, the same key, for ever."""
    cut = view.cuts[cell.level - 1] if cell.level else TOTAL
    return "|".join((cut, cell.unit, "grouped" if cell.grouped else "unit", view.window, cell.window))


def said(view: View, cell: Cell, scores: Scores, k: int, units: int | None) -> dict[str, object]:
    """A cell as `satisfaction.partner.<id>.v1` says it, but for its version and moment."""
    return {
        "partner": view.partner,
        "cut": view.cuts[cell.level - 1] if cell.level else TOTAL,
        "value": cell.unit,
        "grouped_units": units if cell.grouped else None,
        "window": view.window,
        "start": cell.window,
        "scores": list(scores),
        "answers": sum(scores),
        "k": k,
        "grid": view.grid,
    }


def _is_same(value: bytes | None, new: Mapping[str, object] | None) -> bool:
    if value is None or new is None:
        return value is None and new is None
    told = orjson.loads(value)
    return {name: told.get(name) for name in new} == new


def _changed(row: asyncpg.Record, start: str) -> Changed:
    path = tuple(row["unit"])
    home = None if row["depth"] is None else Atom(start, path[: row["depth"]], row["grouped"])
    who = str(row["alike"])
    return Changed(
        *(who, Atom(start, path), row["day"], row["merchant"], row["old"], row["new"], home, row["people"]),
        *(row["tried"], row["tried_last"]),
    )


def _atom(row: asyncpg.Record, start: str) -> Atom:
    return Atom(start, tuple(row["path"]), row["grouped"])


def _scores(row: asyncpg.Record) -> Scores:
    return row["s1"], row["s2"], row["s3"], row["s4"], row["s5"]
