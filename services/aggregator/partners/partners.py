"""Partners: who they are, and what is published to them at each moment of their grid.

The table `partner_cell` is the truth of a partner's topic and API: both hand out its bytes and nothing else.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import orjson

from services.aggregator.counting.cuts import TOTAL, Cut
from services.aggregator.partners.publication import (
    Atom,
    Cell,
    Changed,
    Release,
    Rules,
    Scores,
    cells,
    releases,
    standing,
)
from services.aggregator.partners.views import View, check_view, is_held, is_settled, last_moment, window_of
from services.chassis.keys import Key, make_key, read_key
from services.chassis.postgres import Database, named_sql
from services.chassis.settings import Settings

FEWEST_MERCHANTS = 3
"""A number about several merchants is about at least so many (D9)."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner and how far its publication is."""

    view: View
    prefix: str
    revoked_at: datetime | None
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Partners:
    """The registered partners. Every method works on the connection given."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "partners.sql"))

    async def add(self, connection: Database, view: View, counted: Sequence[Cut], now: datetime) -> Key:
        """Keep a new partner; returns its key, which is stored nowhere.

        Raises:
            MustStop: the view does not protect single answers.
        """
        key = make_key()
        async with connection.transaction():
            # Two that are added at once must see each other.
            await connection.execute(self.sql["lock_partners"])
            check_view(view, [p.view for p in await self.all(connection)], counted)
            await connection.execute(
                self.sql["add_partner"],
                *(view.partner, view.audience, view.merchants, view.cuts, view.window, view.grid, view.lot),
                *(key.prefix, key.secret_sha256, now, last_moment(view.grid, now)),
            )
        return key

    async def all(self, connection: Database) -> list[Partner]:
        """Every partner, revoked ones too."""
        return [_partner(r) for r in await connection.fetch(self.sql["all_partners"])]

    async def revoke(self, connection: Database, partner: str, now: datetime) -> bool:
        """Publish nothing to it from now on and refuse its key; returns whether there is such a partner."""
        return await connection.fetchval(self.sql["revoke_partner"], partner, now) is not None

    async def holding(self, connection: Database, text: str) -> Partner | None:
        """The partner with this key, or None where the key is wrong or revoked."""
        key = read_key(text)
        if key is None:
            return None
        row = await connection.fetchrow(self.sql["partner_with_prefix"], key.prefix)
        if not key.is_kept_as(None if row is None else row["secret_sha256"]) or row is None:
            return None
        return _partner(row) if row["revoked_at"] is None else None


def new_lot() -> bytes:
    """A secret for the lots of one partner."""
    return secrets.token_bytes(32)


def k_of(view: View, settings: Settings) -> int:
    """How many respondents a release to this partner needs at least."""
    return settings.public_k if view.audience == "public" else settings.partner_k


def rules_of(view: View, others: Iterable[View], settings: Settings) -> Rules:
    """What a release to this partner needs beside the views of others. Own deliveries need no other merchants."""
    k = k_of(view, settings)
    if view.merchants is not None:
        return Rules(k)
    beside = {name: other.merchants[0] for other in others if other.merchants for name in other.merchants}
    return Rules(k, merchants=FEWEST_MERCHANTS, beside=beside)


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
            view, moment = _partner(row).view, last_moment(row["grid"], now)
            if moment <= row["published_at"]:
                return None
            visible, grouped = await self._release(connection, view, moment)
            kept = await self._keep(connection, view, moment, visible, grouped)
            await connection.execute(self.sql["worked_on"], partner, moment)
        return kept

    async def _release(
        self, connection: Database, view: View, moment: datetime
    ) -> tuple[Mapping[Atom, Scores], Mapping[Atom, int]]:
        others = [_partner(r).view for r in await connection.fetch(self.sql["all_partners"])]
        rules = rules_of(view, others, self.settings)
        rows = await connection.fetch(self.sql["changed"], view.partner, view.merchants, view.cuts)
        waiting = [_changed(r, view.window) for r in rows]
        shown = {_atom(r): _scores(r) for r in await connection.fetch(self.sql["released"], view.partner)}
        made = releases(
            waiting,
            shown,
            rules,
            is_over=lambda start: is_settled(start, moment),
            hold=lambda atom: is_held(view.lot, moment, atom),
        )
        await connection.executemany(self.sql["release"], [row for r in made for row in _rows(view.partner, r)])
        out = {c.respondent for r in made for c in r.changed}
        after = await connection.fetch(self.sql["released"], view.partner)
        still = standing(
            {_atom(r): _scores(r) for r in after}, (c for c in waiting if c.respondent not in out), rules.k
        )
        return still, {_atom(r): r["units"] for r in after if r["grouped"]}

    async def _keep(
        self,
        connection: Database,
        view: View,
        moment: datetime,
        visible: Mapping[Atom, Scores],
        grouped: Mapping[Atom, int],
    ) -> int:
        k = k_of(view, self.settings)
        units = {(a.window, len(a.path) + 1, a.path[-1] if a.path else ""): n for a, n in grouped.items()}
        new = {
            cell_key(view, cell): said(view, cell, scores, k, units.get((cell.window, cell.level, cell.unit)))
            for cell, scores in cells(visible).items()
        }
        old = {r["key"]: r for r in await connection.fetch(self.sql["partner_cells"], view.partner)}
        changed = []
        for key in sorted({*new, *old}):
            version = old[key]["version"] + 1 if key in old else 1
            if not _is_same(old[key]["value"] if key in old else None, new.get(key)):
                told = {**new[key], "version": version, "as_of": moment.isoformat()} if key in new else None
                changed.append((view.partner, key, version, orjson.dumps(told) if told else None, moment))
        await connection.executemany(self.sql["keep_cell"], changed)
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


def _partner(row: asyncpg.Record) -> Partner:
    merchants = None if row["merchants"] is None else tuple(row["merchants"])
    view = View(
        *(row["partner"], row["audience"], merchants, tuple(row["cuts"])),
        *(row["time_window"], row["grid"], row["lot"]),
    )
    return Partner(view, row["prefix"], row["revoked_at"], row["published_at"])


def _changed(row: asyncpg.Record, window: str) -> Changed:
    start, path = row["time_window"] or window_of(window, row["day"]), tuple(row["unit"])
    home = None if row["depth"] is None else Atom(start, path[: row["depth"]], row["grouped"])
    return Changed(
        str(row["response_id"]), Atom(start, path), row["day"], row["merchant"], row["old"], row["new"], home
    )


def _rows(partner: str, release: Release) -> list[tuple[object, ...]]:
    atom = release.atom
    return [
        (partner, c.respondent, atom.window, c.unit.path, len(atom.path), atom.grouped, c.day, c.merchant, c.new)
        for c in release.changed
    ]


def _atom(row: asyncpg.Record) -> Atom:
    return Atom(row["time_window"], tuple(row["path"]), row["grouped"])


def _scores(row: asyncpg.Record) -> Scores:
    return row["s1"], row["s2"], row["s3"], row["s4"], row["s5"]
