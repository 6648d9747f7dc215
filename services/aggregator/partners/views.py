"""Which view of the answers a partner gets: whose deliveries, cut how, in which windows, told when. Pure."""

import hmac
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from services.aggregator.counting.cuts import Cut, cut_named
from services.aggregator.partners.publication import Atom
from services.aggregator.statistics.units import names_people
from services.chassis.failures import MustStop

HOUR_OF_PUBLICATION: Final = 3
"""Each moment of a grid is at this hour, UTC."""
SETTLED_AFTER: Final = timedelta(days=14)
"""Answers to a window's deliveries come for so long; then small units are grouped."""
_HELD: Final = 85
"""Of 256: how often a cell is held by lot."""
_MERCHANT: Final = "merchant_id"
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class View:
    """What a partner is shown."""

    partner: str
    audience: str
    merchants: tuple[str, ...] | None
    """Only their deliveries; none: those of all merchants."""
    cuts: tuple[str, ...]
    """From coarse to fine."""
    window: str
    grid: str
    lot: bytes
    """The secret that draws which cells are held."""


def check_view(view: View, others: Iterable[View], counted: Sequence[Cut]) -> None:
    """Refuse a view that does not protect single answers, by itself or beside another view.

    Raises:
        MustStop: says why.
    """
    known = {c.name for c in counted}
    chain = [cut_named(name) for name in view.cuts]
    if people := [c.name for c in chain if names_people(c.properties)]:
        raise MustStop(f"cut {people[0]} names single people; no partner sees those")
    if missing := [c.name for c in chain if c.name not in known]:
        raise MustStop(f"answers are not counted by {', '.join(missing)}; add it to KVITTERA_CUTS_FILE")
    if "merchant" not in known:
        raise MustStop("answers are not counted by merchant, so nobody can tell whose deliveries they are about")
    if apart := [c.name for c in chain if c.of_series]:
        raise MustStop(f"cut {apart[0]} holds answers that are kept apart; no partner sees those")
    for coarse, fine in itertools.pairwise(chain):
        if not set(coarse.properties) < set(fine.properties):
            raise MustStop(
                f"cut {fine.name} must hold all of {coarse.name} and more: cells that cross can be subtracted"
            )
    by_merchant = [c.name for c in chain if _MERCHANT in c.properties]
    if view.merchants is None and by_merchant:
        raise MustStop(f"a view of all merchants may not be cut by merchant ({', '.join(by_merchant)})")
    _check_apart(view, others)


def _check_apart(view: View, others: Iterable[View]) -> None:
    # Revoked ones too: what somebody was shown once is not forgotten.
    for other in others:
        if other.partner == view.partner:
            raise MustStop(f"{view.partner} is or was a partner already; choose another id")
        if view.merchants is None and other.merchants is None:
            raise MustStop(f"{other.partner} has a view of all merchants; two such views could be subtracted")
        if other.merchants is None and view.merchants is not None and len(set(view.merchants)) > 1:
            raise MustStop(
                f"{other.partner} has a view of all merchants, and what it was shown is not kept apart from"
                f" {', '.join(view.merchants)} together: such a view is registered before that of all"
            )
        if shared := set(view.merchants or ()) & set(other.merchants or ()):
            raise MustStop(f"{', '.join(sorted(shared))}: {other.partner} has a view of it; two could be subtracted")


def last_moment(grid: str, now: datetime) -> datetime:
    """The latest moment of publication that is not after `now`: daily, on Mondays, or on the first of a month."""
    at = now.astimezone(UTC) - timedelta(hours=HOUR_OF_PUBLICATION)
    day = at.date()
    match grid:
        case "week":
            day -= timedelta(days=day.weekday())
        case "month":
            day = day.replace(day=1)
    return datetime(day.year, day.month, day.day, HOUR_OF_PUBLICATION, tzinfo=UTC)


def window_of(window: str, day: int) -> str:
    """The start of the window that a local day since 1970 lies in: `2026-10`, or a Monday as `2026-10-05`."""
    on = _EPOCH + timedelta(days=day)
    return f"{on:%Y-%m}" if window == "month" else (on - timedelta(days=on.weekday())).isoformat()


def is_settled(start: str, now: datetime) -> bool:
    """Whether hardly any answer to this window's deliveries comes any more."""
    if len(start) == len("2026-10"):
        first = date.fromisoformat(f"{start}-01")
        end = (first + timedelta(days=31)).replace(day=1)
    else:
        end = date.fromisoformat(start) + timedelta(days=7)
    return now.astimezone(UTC).date() >= end + SETTLED_AFTER


def is_held(lot: bytes, moment: datetime, atom: Atom) -> bool:
    """Whether this cell is held at this moment by lot; the same answer whenever asked."""
    parts = (moment.isoformat(), atom.window, str(atom.grouped), *atom.path)
    drawn = hmac.digest(lot, "\x00".join(parts).encode(), "sha256")
    return drawn[0] < _HELD
