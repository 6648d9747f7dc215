"""A partner who wants to know what single people answered, and a simulated month of answers for him to attack.

He knows everything but the scores: who answered, changed or took back which answer, in which second, and in which
published number each change is. He polls every second and combines all numbers that he ever saw.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.aggregator.partners.publication import (
    Atom,
    Attempt,
    Cell,
    Changed,
    Rules,
    Scores,
    added,
    attempts,
    cells,
    standing,
)

DAY = 86_400
WINDOW = "2026-10"
UNITS = {"A": ("A × home", "A × shop", "A × locker"), "B": ("B × home", "B × shop")}
BUSIEST = {"A × home": 20, "A × shop": 8, "A × locker": 3, "B × home": 5, "B × shop": 1}
"""At most so many answers a day."""
Known = tuple[str, int]
"""A score that somebody gave: the respondent, and a number that tells it from the ones given before."""
Seen = tuple[frozenset[Known], Scores]
"""What a number is a sum of, and the number."""


@dataclass(slots=True)
class Answered:
    """An answer, changed or taken back (score None), in a second of the month."""

    second: int
    respondent: str
    path: tuple[str, ...]
    day: int
    score: int | None


def month(seed: int, days: int = 30) -> list[Answered]:
    """Answers of a month: 1 to 20 a day and unit, a tenth changed later, one in 25 taken back or erased."""
    lot = random.Random(seed)
    happened = []
    for day, (coarse, units) in itertools.product(range(days), UNITS.items()):
        for unit in units:
            for number in range(lot.randint(1, BUSIEST[unit])):
                who = f"{day}-{unit}-{number}"
                second, path = day * DAY + lot.randrange(DAY), (coarse, unit)
                score = lot.choices((1, 2, 3, 4, 5), (6, 6, 10, 28, 50))[0]
                happened.append(Answered(second, who, path, day, score))
                later = second + lot.randrange(1, 10 * DAY)
                fate = lot.random()
                if fate < 0.1:
                    other = lot.choice([s for s in (1, 2, 3, 4, 5) if s != score])
                    happened.append(Answered(later, who, path, day, other))
                elif fate < 0.14:
                    happened.append(Answered(later, who, path, day, None))
    return sorted((a for a in happened if a.second < days * DAY), key=lambda a: (a.second, a.respondent))


@dataclass(slots=True)
class World:
    """What the aggregator holds in the simulation: the present answers, what was released, and what is visible."""

    rules: Rules
    lot: random.Random
    held: float = 1 / 3
    present: dict[str, Answered] = field(default_factory=dict)
    released: dict[str, tuple[Atom, int | None]] = field(default_factory=dict)
    shown: dict[Atom, Scores] = field(default_factory=dict)
    tried: dict[str, bool] = field(default_factory=dict)
    """Who was looked at in vain, and whether in the last attempt of a settled window."""
    visible: Mapping[Cell, Scores] = field(default_factory=dict)
    in_vain: list[tuple[Attempt, ...]] = field(default_factory=list)
    history: list[tuple[Attempt, ...]] = field(default_factory=list)
    polls: int = 0
    """How often somebody looked."""

    def changed(self) -> list[Changed]:
        """Whoever's present answer is not the released one."""
        found = []
        for who, answer in self.present.items():
            home, old = self.released.get(who, (None, None))
            if answer.score != old:
                unit = Atom(WINDOW, answer.path)
                found.append(Changed(who, unit, answer.day, answer.path[0], old, answer.score, home, **self.tries(who)))
        return found

    def tries(self, who: str) -> dict[str, bool]:
        """How somebody was looked at already in vain."""
        return {"tried": who in self.tried, "tried_last": self.tried.get(who, False)}

    def publish(self, *, is_over: bool = False) -> None:
        """One moment of the grid."""
        now = attempts(
            self.changed(),
            self.shown,
            self.rules,
            is_over=lambda _: is_over,
            hold=lambda _: self.lot.random() < self.held,
        )
        for attempt in now:
            for c in attempt.changed:
                if attempt.is_release:
                    self.tried.pop(c.respondent, None)
                else:
                    self.tried[c.respondent] = attempt.is_last or self.tried.get(c.respondent, False)
        self.in_vain.append(tuple(a for a in now if not a.is_release))
        self._release([a for a in now if a.is_release])

    def _release(self, now: Sequence[Attempt]) -> None:
        for release in now:
            self.shown[release.atom] = added(self.shown.get(release.atom, (0, 0, 0, 0, 0)), release.moved)
            for c in release.changed:
                self.released[c.respondent] = (release.atom, c.new)
        self.history.append(tuple(now))
        self.visible = cells(standing(self.shown, self.changed(), self.rules.k))


@dataclass(slots=True)
class CountingAll(World):
    """The mistake that many make: a cell is shown live as soon as it holds `k` answers, not `k` changes."""

    def publish(self, *, is_over: bool = False) -> None:  # noqa: ARG002  it groups nothing
        """Show every unit of enough answers as it is now."""
        answers = Counter(a.path for a in self.present.values() if a.score is not None)
        changed = [c for c in self.changed() if answers[c.unit.path] >= self.rules.k]
        pools = {c.unit: tuple(d for d in changed if d.unit == c.unit) for c in changed}
        self._release([Attempt(atom, pool, is_release=True) for atom, pool in pools.items()])


def watched(
    world: World, answers: Sequence[Answered], moments: set[int], *, last: int
) -> Iterator[Mapping[Cell, Scores]]:
    """Let the month pass, polled every second; yields what was seen whenever it is not what was seen before."""
    seen: Mapping[Cell, Scores] = {}
    coming = iter([*answers, None])
    next_one = next(coming)
    for second in range(last + 1):
        while next_one is not None and next_one.second <= second:
            world.present[next_one.respondent] = next_one
            next_one = next(coming)
        if second in moments:
            world.publish(is_over=second == last)
        world.polls += 1
        if world.visible is not seen:
            seen = world.visible
            yield seen


@dataclass(slots=True)
class Equation:
    """`sum(scores of plus) - sum(scores of minus)` is known, for each of the five scores."""

    plus: tuple[Known, ...]
    minus: tuple[Known, ...]
    total: Scores


NONE: Seen = (frozenset(), (0, 0, 0, 0, 0))


@dataclass(slots=True)
class Attacker:
    """Gathers what differences say, and works out every score that can only be one."""

    equations: list[Equation] = field(default_factory=list)
    could_be: dict[Known, set[int]] = field(default_factory=lambda: defaultdict(lambda: {1, 2, 3, 4, 5}))
    snapshots: list[dict[Cell, Seen]] = field(default_factory=list)
    _inside: dict[Cell, set[Known]] = field(default_factory=lambda: defaultdict(set))
    _before: dict[Cell, Seen] = field(default_factory=dict)
    _latest: dict[str, tuple[Atom, Known | None]] = field(default_factory=dict)
    _changes: list[tuple[Known, Known]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def told(self, made: Sequence[Attempt], number: Callable[[str], int] | None = None) -> None:
        """He knows which changes are in which release, without their scores; `number` tells a respondent's apart."""
        for release in made:
            for c in release.changed:
                before = self._latest[c.respondent][1] if c.respondent in self._latest else None
                told = number(c.respondent) if number else next(self._numbers)
                known = (c.respondent, told) if c.new is not None else None
                self._latest[c.respondent] = (release.atom, known)
                if before and known:
                    self._changes.append((before, known))

    def sees(self, visible: Mapping[Cell, Scores]) -> None:
        """Set up what follows from the numbers of now: over time, alone, and between parents and siblings."""
        inside: dict[Cell, set[Known]] = defaultdict(set)
        for atom, known in self._latest.values():
            within = cells({atom: (0, 0, 0, 0, 0)})
            if known is not None and max(within, key=lambda c: c.level) in visible:
                for cell in within:
                    inside[cell].add(known)
        now = {cell: (frozenset(inside[cell]), scores) for cell, scores in visible.items()}
        self.snapshots.append(now)
        for cell, (members, scores) in now.items():
            self.subtract((members, scores), self._before.get(cell, NONE))
            self.subtract((members, scores), NONE)
        for parent, child in itertools.permutations(now, 2):
            if now[child][0] < now[parent][0]:
                self.subtract(now[parent], now[child])
        for cell, (members, scores) in now.items():
            below = [now[c] for c in now if c.level == cell.level + 1 and now[c][0] <= members and c != cell]
            rest = members.difference(*(b[0] for b in below))
            left = tuple(s - sum(b[1][i] for b in below) for i, s in enumerate(scores))
            self._keep(tuple(rest), (), left)  # type: ignore[arg-type]
        # A cell with a tombstone comes back beside what it was.
        self._before.update(now)

    def subtract(self, one: Seen, other: Seen) -> None:
        """Note what follows from the difference of two numbers."""
        left = tuple(a - b for a, b in zip(one[1], other[1], strict=True))
        self._keep(tuple(one[0] - other[0]), tuple(other[0] - one[0]), left)  # type: ignore[arg-type]

    def _keep(self, plus: tuple[Known, ...], minus: tuple[Known, ...], total: Scores) -> None:
        if plus or minus:
            self.equations.append(Equation(tuple(sorted(plus)), tuple(sorted(minus)), total))

    def recovered(self) -> dict[Known, int]:
        """Every score that is the same in all that the equations allow, as far as bounds alone can tell."""
        unique = {(e.plus, e.minus, e.total): e for e in self.equations}
        moved = True
        while moved:
            moved = any([*(self._narrow(e) for e in unique.values()), *(self._differ(*c) for c in self._changes)])
        return {known: next(iter(scores)) for known, scores in self.could_be.items() if len(scores) == 1}

    def _differ(self, before: Known, after: Known) -> bool:
        moved = False
        for one, other in ((before, after), (after, before)):
            if len(self.could_be[one]) == 1 and self.could_be[one] < self.could_be[other]:
                self.could_be[other] -= self.could_be[one]
                moved = True
        return moved

    def _narrow(self, e: Equation) -> bool:
        moved = False
        for score, total in zip((1, 2, 3, 4, 5), e.total, strict=True):
            plus, minus = ([self.could_be[k] for k in side] for side in (e.plus, e.minus))
            least = sum(p == {score} for p in plus) - sum(score in m for m in minus)
            most = sum(score in p for p in plus) - sum(m == {score} for m in minus)
            assert least <= total <= most, "the numbers contradict each other"
            if least == most or total not in (least, most):
                continue
            for side, given in ((plus, total == most), (minus, total == least)):
                for could in side:
                    if score in could and len(could) > 1:
                        could.intersection_update({score} if given else could - {score})
                        moved = True
        return moved
