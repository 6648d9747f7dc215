"""Which revision of a closed month the public sees. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from typing import Final

from services.aggregator.counting.cuts import TOTAL, wave_days
from services.aggregator.quality.readers import Left, Reader, is_of_merchants, rest
from services.aggregator.statistics import Share, to_hide
from services.aggregator.statistics.scores import satisfied

FEWEST: Final = 50
"""Fewer answers than this are not shown to the public (D9)."""
METHOD: Final = "method"
_BOTH: Final = 2
Bins = tuple[int, ...]
_NOBODY: Final = (0, 0, 0, 0, 0)
_NOTHING_LEFT: Final = Left(_NOBODY)


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of one unit in one month."""

    scores: tuple[int, ...]
    delivered: int
    asked: int
    reached: int | None = None
    """None in months that were closed before receipts were counted."""

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return sum(self.scores)

    @property
    def satisfied(self) -> Share | None:
        """The share of faces 4 and 5."""
        return satisfied(self.scores)


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a closed month: the counters by cut and value."""

    number: int
    reason: str
    closed_at: datetime
    cells: Mapping[tuple[str, str], Counted]
    sums: Mapping[int, int] = field(default_factory=dict)
    """How often each sum of the three questions of the index was given, 3 to 30."""
    zone_data: Sequence[str] | None = None
    """The versions of the time-zone data that it was counted with, where they were kept."""
    by_merchant: bool = True
    """Whether answers were counted by merchant."""

    @property
    def total(self) -> Counted:
        """The counters of everything."""
        return self.cells.get((TOTAL, ""), Counted((0, 0, 0, 0, 0), 0, 0))

    def of_cut(self, cut: str) -> dict[str, Counted]:
        """The counters of a cut by value."""
        return {value: counted for (name, value), counted in self.cells.items() if name == cut}


@dataclass(frozen=True, slots=True)
class Month:
    """A closed month as the public sees it; `waiting` revisions would show single answers and are held back."""

    number: int
    first: Revision
    shown: Revision
    corrections: tuple[Revision, ...] = ()
    waiting: int = 0
    hidden: frozenset[str] = frozenset()
    """The ways of delivery of which no figure may be told."""
    beside_partner: bool = False
    """Nothing of its answers is told: less what a partner is shown, it could be the answers of few people."""


@dataclass(frozen=True, slots=True)
class _Public:
    """A revision with the values that it does not tell, by each cut of which it tells any."""

    revision: Revision
    hidden: Mapping[str, frozenset[str]]

    def told(self) -> Revision:
        """The revision without cuts whose parts would be told now, but may not be, and without single merchants."""
        kept = {c for c, hidden in self.hidden.items() if c != METHOD and hidden - _too_few(self.revision, c)}
        kept |= {cut for cut, _ in self.revision.cells if is_of_merchants(cut)}
        return replace(self.revision, cells={k: c for k, c in self.revision.cells.items() if k[0] not in kept})


def month_of(number: int, revisions: Sequence[Revision], readers: Sequence[Reader] = ()) -> Month:
    """The month in the latest revision that can be shown beside what was shown before.

    Two revisions that are both public can be subtracted. So a correction is shown only where all that it tells has
    changed by nothing or by the answers of fifty people and more; a smaller one waits until it is part of a greater.
    What one of them hides stays hidden in those behind it: from the figure of now the one of then could be worked out.
    All of this holds for each of `readers` too, for what is left without the deliveries that it is shown.
    """
    readers = [r for r in readers if r.sees(number)]
    begin = next((i for i, revision in enumerate(revisions) if _may_begin(revision, readers)), None)
    if begin is None:
        return _beside_partner(number, revisions[0])
    public = [_beside(revisions[begin], [], readers)]
    waiting = 0
    for later in revisions[begin + 1 :]:
        new = _beside(later, public, readers)
        if _safe(new, public) and all(_safe_beside(reader, new, public) for reader in readers):
            public.append(new)
            waiting = 0
        else:
            waiting += 1
    first, *corrections = [p.told() for p in public]
    shown = corrections[-1] if corrections else first
    return Month(number, first, shown, tuple(corrections), waiting, public[-1].hidden.get(METHOD, frozenset()))


def _may_begin(revision: Revision, readers: Sequence[Reader]) -> bool:
    return revision.total.answers < FEWEST or all(r.left(revision).fewest >= FEWEST for r in readers)


def _beside_partner(number: int, revision: Revision) -> Month:
    c = revision.total
    late = {(cut, value): counted for (cut, value), counted in revision.cells.items() if cut == "late"}
    none = Counted((0, 0, 0, 0, 0), c.delivered, c.asked, c.reached)
    bare = replace(revision, cells={(TOTAL, ""): none, **late}, sums={})
    return Month(number, bare, bare, beside_partner=True)


def _beside(revision: Revision, public: Sequence[_Public], readers: Sequence[Reader]) -> _Public:
    hidden = {}
    for cut in {name for name, _ in revision.cells if _is_parted(name)}:
        found = _too_few(revision, cut, readers).union(*(p.hidden.get(cut, ()) for p in public))
        # Of two parts one alone is never told.
        hidden[cut] = found if cut == METHOD or not found else found | revision.of_cut(cut).keys()
        # How a partner's own part of these moved is hardly ever counted; their telling must not hold up all else.
        before = [p for p in public if cut in p.hidden]
        if cut != METHOD and not all(_others_moved_enough(r, revision, cut, hidden[cut], before) for r in readers):
            hidden[cut] = frozenset(revision.of_cut(cut))
    return _Public(revision, hidden)


def _too_few(revision: Revision, cut: str, readers: Sequence[Reader] = ()) -> frozenset[str]:
    """Which values of a cut cannot be told, whatever was told before; those without any answer have nothing to hide."""
    parts = revision.of_cut(cut)
    left = [{v: reader.left_of(revision, cut, v).fewest for v in parts} for reader in readers]
    counts = [{v: c.answers for v, c in parts.items()}, *left]
    if cut != METHOD:
        told = len(parts) == _BOTH and all(n >= FEWEST for of in counts for n in of.values())
        return frozenset() if told else frozenset(parts)
    given = sorted(value for value, c in parts.items() if c.answers)
    return frozenset(given[i] for of in counts for i in to_hide([of[v] for v in given], FEWEST))


def _safe(new: _Public, public: Sequence[_Public]) -> bool:
    """Whether nothing of fewer than fifty people can be worked out of this revision and those that are public."""
    for cut in new.hidden:
        before = [p for p in public if cut in p.hidden]
        if not all(_moved_enough(*(_figures(p.revision, cut, new.hidden[cut]) for p in (old, new))) for old in before):
            return False
        if _can_be_worked_out(new, cut, before):
            return False
    return all(_moved_enough(*({"": p.revision.total.scores} for p in (old, new))) for old in public) and all(
        _moved_enough(*({"": _sums(p.revision)} for p in (old, new))) for old in public
    )


def _safe_beside(reader: Reader, new: _Public, public: Sequence[_Public]) -> bool:
    """Whether a partner that takes its own part off all of them is left with nothing of fewer than fifty people."""
    for cut in new.hidden:
        before = [p for p in public if cut in p.hidden]
        if not _others_moved_enough(reader, new.revision, cut, new.hidden[cut], before):
            return False
        if (unknown := _not_told(new, cut, before)) and _left(reader, new.revision, cut, unknown)[""].fewest < FEWEST:
            return False
    return _others_moved_enough(reader, new.revision, "", (), public)


def _others_moved_enough(
    reader: Reader, new: Revision, cut: str, hidden: Collection[str], public: Sequence[_Public]
) -> bool:
    """Whether each figure of a cut moved by the answers of nobody at all, or of fifty whom the partner sees nothing of.

    The cut without a name has one figure, everything.
    """
    after, left_after = _figures(new, cut, hidden), _left(reader, new, cut, hidden)
    for old in (p.revision for p in public):
        before, left_before = _figures(old, cut, hidden), _left(reader, old, cut, hidden)
        for key in before.keys() | after.keys():
            a, b = left_before.get(key, _NOTHING_LEFT), left_after.get(key, _NOTHING_LEFT)
            others = _people(y - x for x, y in zip(a.scores, b.scores, strict=True))
            if others - a.unknown - b.unknown >= FEWEST:
                continue
            if others or before.get(key, _NOBODY) != after.get(key, _NOBODY):
                return False
    return True


def _left(reader: Reader, revision: Revision, cut: str, hidden: Collection[str]) -> dict[str, Left]:
    """What is left of the figures that a cut tells for one who knows a part."""
    shown = {v: reader.left_of(revision, cut, v) for v in revision.of_cut(cut) if v not in hidden}
    return shown | {"": rest(reader.left(revision), [*shown.values()])}


def _figures(revision: Revision, cut: str, hidden: Collection[str]) -> dict[str, Bins]:
    """What a cut tells: the values that are shown and, as everything less those, the others together."""
    shown = {v: c.scores for v, c in revision.of_cut(cut).items() if v not in hidden}
    rest = [n - sum(bins) for n, *bins in zip(revision.total.scores, *shown.values(), strict=True)]
    return shown | {"": tuple(rest)}


def _can_be_worked_out(new: _Public, cut: str, before: Sequence[_Public]) -> bool:
    """Whether hidden values that another public revision shows leave too few answers to the others."""
    unknown = _not_told(new, cut, before)
    return bool(unknown) and sum(_figures(new.revision, cut, unknown)[""]) < FEWEST


def _not_told(new: _Public, cut: str, before: Sequence[_Public]) -> set[str]:
    """The hidden values with answers that no other public revision shows as they are."""
    cells, hidden = new.revision.of_cut(cut), new.hidden[cut]
    shown_before = {(v, c.scores) for p in before for v, c in p.revision.of_cut(cut).items() if v not in p.hidden[cut]}
    return {v for v in hidden & cells.keys() if cells[v].answers and (v, cells[v].scores) not in shown_before}


def _moved_enough(old: Mapping[str, Bins], new: Mapping[str, Bins]) -> bool:
    """Whether each figure changed by the answers of nobody, or of fifty people and more."""
    return all(
        not 0 < _people(a - b for a, b in zip_longest(new.get(k, ()), old.get(k, ()), fillvalue=0)) < FEWEST
        for k in old.keys() | new.keys()
    )


def _sums(revision: Revision) -> Bins:
    return tuple(revision.sums.get(n, 0) for n in range(3, 31))


def _is_parted(cut: str) -> bool:
    return cut in {METHOD, "disrupted"} or wave_days(cut) is not None


def _people(moved: Iterable[int]) -> int:
    """How many people at least are behind it that bins moved so: each leaves one bin, enters one, or both."""
    by = list(moved)
    return max(sum(n for n in by if n > 0), -sum(n for n in by if n < 0))
