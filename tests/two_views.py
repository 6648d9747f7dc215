"""A merchant who reads its own view and one of all merchants, and subtracts the one from the other.

He knows all that the attacker of one view knows, of both, and takes every difference of theirs that leaves few people.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.aggregator.partners.publication import Atom, Cell, Changed, Rules
from tests.attacker import DAY, NONE, WINDOW, Answered, Attacker, Seen, World

BUSIEST = {"large": 24, "b": 1, "c": 1, "d": 1}
"""At most so many answers a day and way of delivery, by merchant."""
WAYS = ("home", "shop")
FEW = 30
"""Differences of more people are not worth the work."""


@dataclass(slots=True)
class Told(Answered):
    """An answer about a delivery of a merchant."""

    merchant: str = ""


@dataclass(slots=True)
class OneView(World):
    """What one partner is shown: answers about one merchant, or about all."""

    merchant: str | None = None

    def changed(self) -> list[Changed]:
        """Whoever's present answer is not the released one."""
        found = []
        for who, a in self.present.items():
            home, old = self.released.get(who, (None, None))
            assert isinstance(a, Told)
            if a.score != old and self.merchant in {None, a.merchant}:
                found.append(
                    Changed(who, Atom(WINDOW, a.path), a.day, a.merchant, old, a.score, home, **self.tries(who))
                )
        return found


def month(seed: int, days: int) -> Iterator[list[Told]]:
    """The answers of a month by day: a tenth changed later, one in 25 taken back."""
    lot = random.Random(seed)
    coming: dict[int, list[Told]] = {day: [] for day in range(days)}
    for day, (merchant, most), way in itertools.product(range(days), BUSIEST.items(), WAYS):
        for number in range(lot.randint(0, most)):
            who, score = f"{day}-{merchant}-{way}-{number}", lot.choices((1, 2, 3, 4, 5), (6, 6, 10, 28, 50))[0]
            coming[day].append(Told(day * DAY, who, (way,), day, score, merchant))
            later, fate = day + lot.randrange(1, 10), lot.random()
            if fate < 0.14 and later < days:
                other = lot.choice([s for s in (1, 2, 3, 4, 5) if s != score]) if fate < 0.1 else None
                coming[later].append(Told(later * DAY, who, (way,), day, other, merchant))
    return iter(coming.values())


@dataclass(slots=True)
class TwoViews:
    """The month as the large merchant lives through it."""

    rules: Rules
    """Of the view of all merchants; its own is told from ten changed respondents on."""
    seed: int
    held: float = 1 / 3
    present: dict[str, Answered] = field(default_factory=dict)

    def attack(self, days: int) -> tuple[int, int]:
        """How many scores were recovered of how many published in the view of all."""
        lot, both = random.Random(self.seed), Attacker()
        worlds = [
            OneView(rules, lot, self.held, self.present, merchant=merchant)
            for rules, merchant in ((self.rules, None), (Rules(10), "large"))
        ]
        readers = [Attacker(both.equations, both.could_be) for _ in worlds]
        given = set()
        for day, answers in enumerate(month(self.seed, days)):
            self.present.update({a.respondent: a for a in answers})
            given |= {(a.respondent, a.second, a.score) for a in answers}
            for world, reader in zip(worlds, readers, strict=True):
                world.publish(is_over=day == days - 1)
                reader.told(world.history[-1], lambda who: self.present[who].second)
                reader.sees(world.visible)
        everything, own = (reader.snapshots for reader in readers)
        _subtract_all(both, everything, own)
        recovered = both.recovered()
        assert {(*known, score) for known, score in recovered.items()} <= given, "the attack must not guess"
        return len(recovered), len(worlds[0].released)


def _subtract_all(both: Attacker, everything: list[dict[Cell, Seen]], own: list[dict[Cell, Seen]]) -> None:
    """Each number of the one less each of the other, and each growth less each growth."""
    for cell in everything[-1].keys() | own[-1].keys():
        all_, mine = ([s.get(cell, NONE) for s in (*[{}], *snapshots)] for snapshots in (everything, own))
        for one, other in itertools.product(_steps(all_), _growths(mine)):
            if len(one[0] ^ other[0]) <= FEW:
                both.subtract(one, other)


def _steps(of: list[Seen]) -> list[Seen]:
    """A cell as it was at each moment, and what it grew by from one to the next."""
    return [*of, *(_less(after, before) for before, after in itertools.pairwise(of) if before[0] < after[0])]


def _growths(of: list[Seen]) -> list[Seen]:
    """What a cell grew by from any moment to any later one; the first is nothing."""
    return [_less(after, before) for before, after in itertools.combinations(of, 2) if before[0] < after[0]]


def _less(after: Seen, before: Seen) -> Seen:
    a, b, c, d, e = (x - y for x, y in zip(after[1], before[1], strict=True))
    return after[0] - before[0], (a, b, c, d, e)
