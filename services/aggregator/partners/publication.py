"""What a partner may see of the answers (guarantee 8). Pure.

Live counters are never shown. What is shown is a sum of releases, and a release holds the changes of at least
`k` respondents. A respondent belongs to one cell for ever, and totals are sums of shown cells, so whatever is
subtracted from whatever (a later number from an earlier one, all siblings from their parent) is a sum of whole
releases. Cells of one view nest: by levels of cuts, each finer than the one before, in windows that do not overlap.

A view of all merchants stands beside those of single ones, and who reads both can subtract his own part. So every
rule holds also for what is left of a release without any one merchant, or without those that one partner is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

Scores = tuple[int, int, int, int, int]
"""How many answers gave each score, from 1 to 5."""
NOTHING: Final[Scores] = (0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Atom:
    """A cell that respondents belong to: a unit in a window, or what is grouped under a unit of a coarser level."""

    window: str
    path: tuple[str, ...]
    """Units from coarse to fine; empty for everything together."""
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """A respondent whose answer counts otherwise than was last released; or several who are alike in all but name."""

    respondent: str
    """Who; of several a name for all of them, and for nobody else."""
    unit: Atom
    """The unit of the finest level."""
    day: int
    merchant: str | None
    old: int | None
    """The score as it was released last; none when it did not count."""
    new: int | None
    home: Atom | None = None
    """Where the respondent was released before; none for a first time."""
    people: int = 1
    """How many respondents."""
    tried: bool = False
    """Whether they were in an attempt already that came to nothing."""
    tried_last: bool = False
    """Whether that was the attempt which a settled window gives without new changes."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How many must have changed, on how many delivery days, from how many merchants (D9)."""

    k: int
    days: int = 2
    merchants: int = 0
    withhold_telling: bool = True
    beside: Mapping[str, str] | None = None
    """In a view of all merchants, for those that one partner is shown together: which one stands for them. None in a
    view of some merchants."""

    def enough(self, changed: Sequence[Changed]) -> bool:
        """Whether these may be released together. Looks at who changed, never at how they scored."""
        return len(self._parts(changed)) >= self.merchants and all(
            rest.respondents >= self.k and len(rest.days) >= self.days for rest in self._rests(changed)
        )

    def tells(self, changed: Sequence[Changed]) -> bool:
        """Whether what moves would say more than a sum."""
        return self.withhold_telling and any(rest.tells for rest in self._rests(changed))

    def _rests(self, changed: Sequence[Changed]) -> "list[_Together]":
        """The whole; in a view of all merchants also what is left of it for each who knows a part."""
        whole = _Together.of(changed)
        if self.beside is None:
            return [whole]
        return [whole, *(whole.without(_Together.of(part)) for part in self._parts(changed).values())]

    def _parts(self, changed: Sequence[Changed]) -> dict[str, list[Changed]]:
        """By merchant, or by the one that stands for several."""
        parts: dict[str, list[Changed]] = defaultdict(list)
        for c in changed:
            if c.merchant is not None:
                parts[(self.beside or {}).get(c.merchant, c.merchant)].append(c)
        return parts


@dataclass(frozen=True, slots=True)
class _Together:
    """Some changes: of how many respondents, how many on which delivery days, how many with a score, and what moves."""

    respondents: int
    days: Counter[int]
    new: int
    moved: Scores

    @classmethod
    def of(cls, pool: Sequence[Changed]) -> Self:
        people = {c.respondent: c.people for c in pool}
        new = sum(c.people for c in pool if c.new is not None)
        # Of a day it matters only whether any of them is left.
        return cls(sum(people.values()), Counter(c.day for c in pool), new, _moved(pool))

    def without(self, part: "_Together") -> "_Together":
        """What is left for who knows a part."""
        a, b, c, d, e = (x - y for x, y in zip(self.moved, part.moved, strict=True))
        rest = self.respondents - part.respondents
        return _Together(rest, self.days - part.days, self.new - part.new, (a, b, c, d, e))

    @property
    def tells(self) -> bool:
        """Whether all new scores are the same, or some score became rarer.

        Who became fewer had given that score before, and few had; together with earlier releases that can name one.
        So a fall waits until new answers outweigh it.
        """
        return any(by < 0 or by == self.new for by in self.moved)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Changes of one cell that were looked at together: they become visible together, or wait together."""

    atom: Atom
    changed: tuple[Changed, ...]
    is_release: bool
    """Whether they become visible."""
    is_last: bool = False
    """Whether it is the one that a settled window gives without new changes."""

    @property
    def moved(self) -> Scores:
        """What a release adds to the scores of its cell."""
        return _moved(self.changed)


def attempts(
    changed: Iterable[Changed],
    shown: Mapping[Atom, Scores],
    rules: Rules,
    *,
    is_over: Callable[[str], bool],
    hold: Callable[[Atom], bool],
) -> list[Attempt]:
    """What is looked at now, and what of it is released.

    Units first. Once a window is over, a unit of too few is rolled up into "grouped" of the nearest unit above it
    where that makes enough. When something is looked at depends on who changed alone, never on scores. `hold` keeps
    a cell back by lot, so that an attempt in vain does not tell that the scores did (see `Rules.tells`).
    """
    pools: dict[Atom, list[Changed]] = defaultdict(list)
    for c in changed:
        pools[c.home or c.unit].append(c)
    found: list[Attempt] = []
    for depth in range(max((len(a.path) for a in pools), default=0), -1, -1):
        for atom in sorted((a for a in pools if len(a.path) == depth), key=_order):
            pool, settled = pools[atom], is_over(atom.window)
            if not _may_stand(pool, shown.get(atom, NOTHING), rules):
                if settled and atom.path:
                    pools[Atom(atom.window, atom.path[:-1], grouped=True)] += [c for c in pool if c.home is None]
                continue
            # Lots that are drawn again and again for the same people would wear off: who still waits, tells.
            is_anew = _is_anew(pool, rules)
            if is_anew or (settled and not any(c.tried_last for c in pool)):
                waits = hold(atom) or rules.tells(pool)
                found.append(Attempt(atom, tuple(pool), not waits, not is_anew))
    return found


def _is_anew(pool: Sequence[Changed], rules: Rules) -> bool:
    new = [c for c in pool if not c.tried]
    return len(new) == len(pool) or rules.enough(new)


def _may_stand(pool: Sequence[Changed], shown: Scores, rules: Rules) -> bool:
    answers_after = sum(shown) + sum(_moved(pool))
    return rules.enough(pool) and answers_after >= rules.k


def _moved(pool: Iterable[Changed]) -> Scores:
    by: Counter[int | None] = Counter()
    for c in pool:
        by[c.new] += c.people
        by[c.old] -= c.people
    return by[1], by[2], by[3], by[4], by[5]


def added(scores: Scores, moved: Scores) -> Scores:
    """The sum of two rows of scores."""
    a, b, c, d, e = (x + y for x, y in zip(scores, moved, strict=True))
    return a, b, c, d, e


def standing(shown: Mapping[Atom, Scores], waiting: Iterable[Changed], k: int) -> dict[Atom, Scores]:
    """The cells that may stay visible: of the answers they show, at least `k` still stand.

    `waiting` are changes that are not released. A cell that is left out gets a tombstone.
    """
    answers = {atom: sum(scores) for atom, scores in shown.items()}
    for c in waiting:
        if c.home in answers:
            answers[c.home] += c.people * ((c.new is not None) - (c.old is not None))
    return {atom: scores for atom, scores in shown.items() if answers[atom] >= k}


@dataclass(frozen=True, slots=True)
class Cell:
    """A visible cell. `level` counts from 0, everything together; a grouped cell has its level one below its unit."""

    window: str
    level: int
    unit: str
    grouped: bool = False


def cells(visible: Mapping[Atom, Scores]) -> dict[Cell, Scores]:
    """The visible cells: each unit, each group, and for every unit above them the sum of what is visible below."""
    found: dict[Cell, Scores] = {}
    for atom, scores in visible.items():
        for level in range(len(atom.path) + 1):
            cell = Cell(atom.window, level, atom.path[level - 1] if level else "")
            found[cell] = added(found.get(cell, NOTHING), scores)
        if atom.grouped:
            unit = atom.path[-1] if atom.path else ""
            group = Cell(atom.window, len(atom.path) + 1, unit, grouped=True)
            found[group] = added(found.get(group, NOTHING), scores)
    return found


def _order(atom: Atom) -> tuple[str, tuple[str, ...], bool]:
    return atom.window, atom.path, atom.grouped
