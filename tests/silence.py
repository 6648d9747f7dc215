"""What an attacker reads from cells that were looked at and not shown.

He knows who changed what when, so he knows when a cell was looked at; he knows the share of each score, and how many
cells the lot holds. What he does not know is why a cell was not shown: by lot, or because all scores are the same.
"""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.aggregator.partners.publication import Atom, Attempt, Changed, Scores
from tests.attacker import DAY, Answered, World, month

Said = tuple[str, int]
"""A respondent, and the second of the answer."""


@dataclass(slots=True)
class Anew(World):
    """The mistake of lots that are drawn at each moment for whoever waits."""

    def tries(self, who: str) -> dict[str, bool]:  # noqa: ARG002  nobody's attempt is remembered
        """Each moment is like the first."""
        return {}


@dataclass(frozen=True, slots=True)
class Belief:
    """People of whom he believes that all gave the same score, whichever it is."""

    people: frozenset[Said]
    by_numbers: float
    """How likely that is by what is shown alone, or by the shares where nothing is."""
    with_silence: float
    """How likely it is to him who saw that they were not shown."""
    is_so: bool


@dataclass(slots=True)
class Listener:
    """Listens to one world."""

    shares: Sequence[float]
    held: float
    beliefs: list[Belief] = field(default_factory=list)
    _waits: dict[Atom, list[dict[Said, int]]] = field(default_factory=dict)
    """The attempts in vain since the last release, with the scores, which he does not look at."""
    _mixed: set[Atom] = field(default_factory=set)
    """Where some of them hold changed answers too; he leaves those alone."""

    def hears(self, world: World) -> None:
        """One moment: what was looked at in vain, and what was shown."""
        for attempt in world.in_vain[-1]:
            self._waits.setdefault(attempt.atom, []).append(_said(world, attempt))
            if not _is_first(attempt.changed):
                self._mixed.add(attempt.atom)
        for release in world.history[-1]:
            silent, now = self._waits.pop(release.atom, []), _said(world, release)
            if release.atom not in self._mixed and _is_first(release.changed) and _grows([*silent, now]):
                same = [_same_of(release.moved, len(s)) for s in silent]
                self._believe(silent, [*same, 0.0])
            self._mixed.discard(release.atom)

    def ends(self) -> None:
        """The month is over: what was never shown."""
        for atom, silent in self._waits.items():
            if atom not in self._mixed and _grows(silent):
                same = [sum(share ** len(s) for share in self.shares) for s in silent]
                self._believe(silent, [*same, same[-1]])

    def _believe(self, silent: Sequence[dict[Said, int]], same: Sequence[float]) -> None:
        # They were the same up to some attempt; from there on the lot alone held them.
        before = (1.0, *same)
        by_lot = [(before[i] - after) * self.held ** (len(silent) - i) for i, after in enumerate(same)]
        by_lot[-1] += same[-1]
        for i, scores in enumerate(silent):
            likely = sum(by_lot[i + 1 :]) / sum(by_lot)
            self.beliefs.append(Belief(frozenset(scores), same[i], likely, len(set(scores.values())) == 1))


def listened(world: World, seed: int, shares: Sequence[float], *, days: int = 30) -> Listener:
    """Let a month of answers with these shares of scores pass, published daily."""
    lot, listener = random.Random(seed), Listener(shares, world.held)
    by_day: dict[int, list[Answered]] = {}
    for answer in month(seed, days):
        if answer.score is not None:
            answer.score = lot.choices((1, 2, 3, 4, 5), shares)[0]
        by_day.setdefault(answer.second // DAY, []).append(answer)
    # Two moments after the last answer: a settled window is looked at once more.
    for day in range(days + 2):
        world.present.update({a.respondent: a for a in by_day.get(day, [])})
        world.publish(is_over=day >= days)
        listener.hears(world)
    listener.ends()
    return listener


def _said(world: World, attempt: Attempt) -> dict[Said, int]:
    return {(c.respondent, world.present[c.respondent].second): c.new or 0 for c in attempt.changed}


def _is_first(changed: Sequence[Changed]) -> bool:
    return all(c.old is None and c.home is None for c in changed)


def _grows(sets: Sequence[dict[Said, int]]) -> bool:
    return all(before.items() <= after.items() for before, after in itertools.pairwise(sets))


def _same_of(moved: Scores, people: int) -> float:
    """How likely so many of those who are shown gave the same score, whoever they are."""
    return sum(math.comb(by, people) for by in moved) / math.comb(sum(moved), people)
