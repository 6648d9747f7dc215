"""Partners: who they are, and under which rules they are published to."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches

import asyncpg

from services.aggregator.counting.cuts import Cut
from services.aggregator.figures.months import month_name
from services.aggregator.partners.publication import Rules
from services.aggregator.partners.views import View, check_view, last_moment
from services.aggregator.quality.months import ClosedMonths
from services.aggregator.quality.readers import Reader
from services.chassis.failures import MustStop
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

    async def check(self, connection: Database, view: View, counted: Sequence[Cut]) -> None:
        """See that a view may be added beside those that were.

        Raises:
            MustStop: it does not protect single answers.
        """
        check_view(view, [p.view for p in await self.all(connection)], counted)
        months, reader = ClosedMonths(), Reader(None if view.merchants is None else frozenset(view.merchants))
        closed = [await months.rows(connection, n, view.merchants or ()) for n in await months.revisions(connection)]
        check_told(view, [month_name(rows.number) for rows in closed if rows.month() != rows.month(reader)])

    async def add(self, connection: Database, view: View, counted: Sequence[Cut], now: datetime) -> Key:
        """Keep a new partner; returns its key, which is stored nowhere.

        Raises:
            MustStop: the view does not protect single answers.
        """
        key = make_key()
        async with connection.transaction():
            # Two that are added at once must see each other.
            await connection.execute(self.sql["lock_partners"])
            await connection.execute(self.sql["lock_closed_months"])
            await self.check(connection, view, counted)
            await connection.execute(
                self.sql["add_partner"],
                *(view.partner, view.audience, view.merchants, view.cuts, view.window, view.grid, view.lot),
                *(key.prefix, key.secret_sha256, now, last_moment(view.grid, now)),
            )
        return key

    async def all(self, connection: Database) -> list[Partner]:
        """Every partner, revoked ones too."""
        return [partner_of(r) for r in await connection.fetch(self.sql["all_partners"])]

    async def not_counted(self, connection: Database, view: View) -> dict[str, list[str]]:
        """Merchants of a view of whom nothing was counted yet, each with the closest of those that were."""
        known = [r["value"] for r in await connection.fetch(self.sql["merchants_counted"])]
        by_letters = {name.casefold(): name for name in known}
        return {
            merchant: [by_letters[close] for close in get_close_matches(merchant.casefold(), by_letters)]
            for merchant in view.merchants or ()
            if merchant not in known
        }

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
        return partner_of(row) if row["revoked_at"] is None else None


def check_told(view: View, months: Sequence[str]) -> None:
    """Refuse a view that could be subtracted from what the public page has told of these months.

    Raises:
        MustStop: there are any.
    """
    if months:
        whose = " and ".join(view.merchants) if view.merchants else "all merchants"
        shown = f"{months[0]} to {months[-1]}" if len(months) > 1 else months[0]
        raise MustStop(
            f"the public page /quality has told figures of {shown}: less a view of {whose} they would leave what few"
            " people answered"
        )


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


def partner_of(row: asyncpg.Record) -> Partner:
    """A row of the table `partner`."""
    merchants = None if row["merchants"] is None else tuple(row["merchants"])
    view = View(
        *(row["partner"], row["audience"], merchants, tuple(row["cuts"])),
        *(row["time_window"], row["grid"], row["lot"]),
    )
    return Partner(view, row["prefix"], row["revoked_at"], row["published_at"])
