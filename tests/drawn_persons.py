"""Persons who get parcel after parcel, under policies drawn for each, and an oracle for what was decided about them.

The oracle shares no code with the rules: it reads what was drawn, not the policies made of it, counts in every window
that begins with a request, and looks at the clock on the wall minute by minute (`wall_clock.py`).
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from schemas.delivery import ChannelKind, ConsentBasis, DeliveryCompleted, PersonalData
from services.notifier.policy import Ask, Contacted, History, Policies, Preference, Rules, Situation, Suppress, decide
from tests.builders import delivery
from tests.wall_clock import ZONES, Drawn, Hours, violations

_BASES = tuple(ConsentBasis)
_COUNTRIES = ("SE", "DE", "XX")
_SHOPS = ("fjallbod", "norrvik", None)
_PARCEL = delivery()
_PERSON = {
    basis: PersonalData.model_validate({**_PARCEL.pii.model_dump(), "consent": [{"basis": basis}]}) for basis in _BASES
}
_APART = 5 * 86_400.0


@dataclass(frozen=True, slots=True)
class World:
    """What holds for a person, as it was drawn, and the policies that say it.

    Attributes:
        caps: at most so many in so many days: of the `carrier`, and about one `shop`.
        wish: the person's own: at most so many in 365 days.
    """

    hours: Hours
    delay: timedelta
    needs: Mapping[str, tuple[ConsentBasis, ...]]
    caps: Mapping[str, tuple[int, int]]
    wish: int | None
    never: bool
    policies: Policies


@dataclass(frozen=True, slots=True)
class Decided:
    """One parcel, and what was decided."""

    at: datetime
    zone: str
    country: str
    shop: str | None
    shown: tuple[ConsentBasis, ...]
    decision: Ask | Suppress


def draw_world(dice: random.Random, hours: Hours) -> World:
    """Caps from nothing to three, and consent that each country may want."""
    needs = {c: tuple(dice.sample(_BASES, dice.randrange(3))) for c in _COUNTRIES}
    caps = {of: (dice.randrange(4), dice.randrange(1, 60)) for of in ("carrier", "shop") if dice.random() < 0.7}
    told = {of: {"most": most, "days": days} for of, (most, days) in caps.items()}
    policies = Policies.model_validate(
        {
            "countries": {"country": {c: {"needs": bases, "source": "drawn"} for c, bases in needs.items()}},
            "contact": {"carrier": told.get("carrier"), "merchant": told.get("shop")},
            "hours": {"default": hours.rule},
        }
    )
    wish = dice.randrange(4) if dice.random() < 0.3 else None
    delay = timedelta(minutes=dice.randrange(90))
    return World(hours, delay, needs, caps, wish, dice.random() < 0.05, policies)


def live(dice: random.Random, world: World, parcels: int) -> Iterator[Decided]:
    """Decide about so many parcels to one person; what was decided before is the history of the next."""
    rules = Rules(timedelta(hours=72), world.delay, frozenset({ChannelKind.EMAIL}), world.policies, bytes(16))
    history = History(preference=Preference(never=world.never, most_per_year=world.wish))
    now = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=dice.randrange(9 * 365 * 86_400))
    for _ in range(parcels):
        now += timedelta(seconds=int(dice.expovariate(1 / _APART)))
        country, shop, zone = dice.choice(_COUNTRIES), dice.choice(_SHOPS), dice.choice(ZONES)
        shown = tuple(dice.sample(_BASES, dice.randrange(3)))
        parcel = _parcel({"occurred_at": now, "country": country, "merchant_id": shop, "zone": zone}, shown)
        decision = decide(Situation(parcel, now, history, rules, now))
        yield Decided(now, zone, country, shop, shown, decision)
        if isinstance(decision, Ask):
            history = replace(history, contacts=(*history.contacts, Contacted(decision.at, ChannelKind.EMAIL, shop)))


def _parcel(facts: Mapping[str, object], shown: tuple[ConsentBasis, ...]) -> DeliveryCompleted:
    consent = tuple(entry for basis in shown for entry in _PERSON[basis].consent)
    return _PARCEL.model_copy(
        update={
            "delivery": _PARCEL.delivery.model_copy(update=dict(facts)),
            "pii": _PARCEL.pii.model_copy(update={"consent": consent}),
        }
    )


def wrongs(world: World, life: list[Decided]) -> list[str]:
    """What should not have been decided so."""
    asked = [(d, d.decision.at) for d in life if isinstance(d.decision, Ask)]
    found = [wrong for d, leaves in asked for wrong in _forbidden(world, d, leaves)]
    found += _too_many(world.caps.get("carrier"), [leaves for _, leaves in asked])
    for shop in _SHOPS[:2]:
        found += _too_many(world.caps.get("shop"), [leaves for d, leaves in asked if d.shop == shop])
    return found + _too_many(world.wish and (world.wish, 365), [leaves for _, leaves in asked])


def _forbidden(world: World, d: Decided, leaves: datetime) -> list[str]:
    found = ["asked who said never"] if world.never or world.wish == 0 else []
    if ConsentBasis.OBJECTION in d.shown:
        found.append("asked who objected")
    if world.needs[d.country] and not set(world.needs[d.country]) & set(d.shown):
        found.append("asked without consent")
    return found + violations(Drawn(world.hours, d.zone, d.at + world.delay), leaves)


def _too_many(cap: tuple[int, int] | int | None, moments: list[datetime]) -> list[str]:
    if not isinstance(cap, tuple):
        return []
    most, length = cap[0], timedelta(days=cap[1])
    fullest = max((sum(begin <= at < begin + length for at in moments) for begin in moments), default=0)
    return [f"{fullest} requests in {cap[1]} days where {most} may be"] if fullest > most else []
