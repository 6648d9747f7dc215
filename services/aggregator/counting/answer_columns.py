"""Answers in columns: what of each is counted, without an object for each answer."""

import math
from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
from aiokafka import ConsumerRecord
from numpy.typing import NDArray

from schemas.topics import RESPONSE_RECORDED
from services.aggregator.counting.cut_columns import MOMENT, ZONE
from services.aggregator.counting.local_clock import LocalClock
from services.aggregator.counting.reading import (
    CARRIER,
    MACHINE,
    OTHER_PARTY,
    UNINVITED,
    CountedAnswer,
    answer_decoder,
    told_answer_decoder,
)
from services.aggregator.counting.units import UNKNOWN, Units
from services.aggregator.counting.windows import Int64
from services.chassis.failures import Poison

SERIES = (None, MACHINE, OTHER_PARTY, UNINVITED)
"""Series by their number in a row."""
_NUMBER_OF = {series: number for number, series in enumerate(SERIES)}
_ROW = np.dtype(
    [
        ("id", "V16"),
        ("revision", np.int32),
        ("score", np.int16),
        ("commented", bool),
        ("contested", bool),
        ("series", np.int8),
        ("minute", np.int64),
        ("further", np.int32),
        ("recorded", np.float64),
    ]
)
_MOST_RECORDED = 100
_FEW = 64
"""Fewer are read quicker one by one: columns cost as much as some dozens of objects."""
_TEXT, _DASHES = 36, (8, 13, 18, 23)
"""So many letters has a response's number, and dashes at these places."""
_FIRST_MINUTE, _END = (int(datetime(*day, tzinfo=UTC).timestamp()) // 60 for day in ((1970, 1, 3), (2261, 12, 30)))
"""Between these a moment lies in a year that has windows, whatever its zone."""
FollowUps = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """Answers, and where each counts if it is the first revision.

    Attributes:
        rows: the response's number, how it counts (score 0 for none, the number of its series), the minute of its
            wall clock, the place in `said` of what it says to further questions (-1 for nothing), and when it was
            saved, in seconds since 1970 (NaN where enough others tell).
        units: of each answer its unit in each cut, 0 where it has none, UNKNOWN where that was not looked up.
    """

    rows: NDArray[np.void]
    units: NDArray[np.int32]
    said: Sequence[FollowUps] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self) -> list[bytes]:
        """The numbers of the responses."""
        told: list[bytes] = self.rows["id"].tolist()
        return told

    def at(self, places: Int64 | NDArray[np.bool_]) -> "AnswerColumns":
        """Some of the answers."""
        return AnswerColumns(self.rows[places], self.units[places], self.said)

    def followed_by(self, others: "AnswerColumns") -> "AnswerColumns":
        """These and others that were taken from the same columns."""
        if not len(others):
            return self
        return AnswerColumns(
            np.concatenate((self.rows, others.rows)), np.concatenate((self.units, others.units)), self.said
        )

    def recorded(self) -> list[float]:
        """When the last of them were saved, at most a hundred."""
        known = self.rows["recorded"]
        told: list[float] = known[~np.isnan(known)][-_MOST_RECORDED:].tolist()
        return told

    def follow_ups(self, place: int) -> FollowUps:
        """What an answer says to further questions."""
        said = int(self.rows["further"][place])
        return {} if said < 0 else self.said[said]


@dataclass(frozen=True, slots=True)
class Block:
    """Some answers as they were read, with the units that were known then.

    Attributes:
        version: of the cuts that the units are of.
        again: the answer itself, by its place.
    """

    answers: AnswerColumns
    version: int
    again: Callable[[int], CountedAnswer]


def block_of(answers: Sequence[CountedAnswer], units: Units, clock: LocalClock) -> Block:
    """Answers, at least one, in columns.

    Raises:
        Poison: a zone that does not exist.
    """
    ids = b"".join([a.response_id.int.to_bytes(16, "big") for a in answers])
    return Block(_columns(answers, ids, units, clock), units.version, answers.__getitem__)


def _columns(answers: Sequence[CountedAnswer], ids: bytes, units: Units, clock: LocalClock) -> AnswerColumns:
    count = len(answers)
    rows = np.empty(count, _ROW)
    rows["id"] = np.frombuffer(ids, "V16")
    rows["revision"] = np.fromiter([a.revision for a in answers], np.int32, count)
    rows["score"] = np.fromiter([a.score or 0 for a in answers], np.int16, count)
    rows["commented"] = np.fromiter([a.commented for a in answers], bool, count)
    rows["contested"] = np.fromiter([a.contested for a in answers], bool, count)
    apart = [a for a in answers if a.suspected_machine or a.rated != CARRIER or not a.invited]
    rows["series"] = [_NUMBER_OF[a.series] for a in answers] if apart else 0
    facts = units.columns.of(answers)
    rows["minute"] = clock.minutes(facts[MOMENT], facts[ZONE])
    rows["further"] = -1
    saying = [place for place, a in enumerate(answers) if a.follow_ups]
    rows["further"][saying] = range(len(saying))
    rows["recorded"] = math.nan
    rows["recorded"][-_MOST_RECORDED:] = [a.recorded_at.timestamp() for a in answers[-_MOST_RECORDED:]]
    return AnswerColumns(rows, units.found(facts), [answers[place].follow_ups for place in saying])


def blocks_reader(units: Units) -> Callable[[Sequence[ConsumerRecord]], Block | None]:
    """A reader of answers, many at once; None where the quick way does not know one of them."""
    decode, decode_told, clock = answer_decoder(), told_answer_decoder(), LocalClock()

    def read(records: Sequence[ConsumerRecord]) -> Block | None:
        if len(records) < _FEW or records[0].topic != RESPONSE_RECORDED:
            return None
        values = [record.value for record in records]
        try:
            told = [*map(decode_told, values)]
            ids = _ids([one.response_id for one in told])
            columns = _columns(told, ids, units, clock)
        except (msgspec.MsgspecError, TypeError, ValueError, Poison):
            return None  # TypeError: one is a tombstone
        minutes = columns.rows["minute"]
        if minutes.min() < _FIRST_MINUTE or minutes.max() >= _END:
            return None
        return Block(columns, units.version, lambda place: decode(values[place]))

    return read


def _ids(told: Sequence[str]) -> bytes:
    """Numbers of 16 bytes each from their text with four dashes. Raises ValueError where one is written otherwise."""
    text = "".join(told).encode("ascii")
    digits = text.translate(None, b"-")
    dashes = b"".join([text[place::_TEXT] for place in _DASHES])
    if {*map(len, told)} != {_TEXT} or len(digits) != 32 * len(told) or dashes.strip(b"-"):
        raise ValueError("not as we write it")
    return unhexlify(digits)


async def joined(blocks: Sequence[Block], units: Units) -> AnswerColumns:
    """Blocks, at least one, in their order; units that were not known, or of cuts changed since, are looked up.

    Raises:
        Poison: a value that cannot be counted by.
    """
    cuts = len(units.columns.own)
    found = np.concatenate(
        [
            block.answers.units
            if block.version == units.version
            else np.full((len(block.answers), cuts), UNKNOWN, np.int32)
            for block in blocks
        ]
    )
    strange = np.flatnonzero((found == UNKNOWN).any(axis=1))
    if len(strange):
        starts = np.cumsum([0, *[len(block.answers) for block in blocks[:-1]]])
        block_of_each = np.searchsorted(starts, strange, side="right") - 1
        places = zip(block_of_each.tolist(), (strange - starts[block_of_each]).tolist(), strict=True)
        found[strange] = await units.numbers([blocks[block].again(place) for block, place in places])
    rows = np.concatenate([block.answers.rows for block in blocks])
    return AnswerColumns(rows, found, _said(blocks, rows))


def _said(blocks: Sequence[Block], rows: NDArray[np.void]) -> list[FollowUps]:
    """What all blocks say to further questions; the rows are made to point there."""
    said: list[FollowUps] = []
    start = 0
    for answers in (block.answers for block in blocks):
        if said and answers.said:
            further = rows["further"][start : start + len(answers)]
            further[further >= 0] += len(said)
        said += answers.said
        start += len(answers)
    return said


def latest(told: AnswerColumns) -> AnswerColumns:
    """Of each answer the highest revision, at the place of the first one that is more than an opened page.

    One statement may touch a row only once; and where batches begin must not decide where something counts.
    """
    if len(told) < _FEW and len({*told.ids()}) == len(told):
        return told
    halves = np.ascontiguousarray(told.rows["id"]).view(np.uint64).reshape(-1, 2)
    mixed = halves[:, 0] ^ halves[:, 1]
    order = np.argsort(mixed, kind="stable")
    same = mixed[order[1:]] == mixed[order[:-1]]
    if not same.any():
        return told
    in_question = np.zeros(len(told), bool)
    in_question[order[1:][same]] = in_question[order[:-1][same]] = True
    best, first = _chosen(told, np.flatnonzero(in_question))
    alone = np.flatnonzero(~in_question)
    counted_at = np.concatenate((alone, first))
    chosen = told.at(np.concatenate((alone, best)))
    chosen.rows["minute"] = told.rows["minute"][counted_at]
    return AnswerColumns(chosen.rows, told.units[counted_at], told.said)


def _chosen(told: AnswerColumns, places: Int64) -> tuple[Int64, Int64]:
    """Of answers that may be the same the last revisions, and where those count."""
    rows = told.rows[places]
    best: dict[bytes, tuple[int, int]] = {}
    first: dict[bytes, tuple[int, int]] = {}
    for name, revision, place in zip(rows["id"].tolist(), rows["revision"].tolist(), places.tolist(), strict=True):
        if first.setdefault(name, (revision, place))[0] == 0:
            first[name] = revision, place
        if best.setdefault(name, (revision, place))[0] < revision:
            best[name] = revision, place
    return np.array([place for _, place in best.values()]), np.array([place for _, place in first.values()])
