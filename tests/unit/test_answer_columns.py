"""Answers in columns are counted as each would be by itself."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.topics import RESPONSE_RECORDED
from services.aggregator.counting.answer_columns import (
    SERIES,
    AnswerColumns,
    Block,
    block_of,
    blocks_reader,
    joined,
    latest,
)
from services.aggregator.counting.answers import Before, Kept, alike_in, beside, changes_of
from services.aggregator.counting.cuts import cut_named
from services.aggregator.counting.deltas import Change, answer_changes, fold
from services.aggregator.counting.local_clock import LocalClock
from services.aggregator.counting.reading import Counted, CountedAnswer, Facts, reader
from services.aggregator.counting.units import Units, Units32
from tests.builders import record

NOON = datetime(2026, 10, 13, 12, 0, tzinfo=UTC)
CLOCK, READ = LocalClock(), reader()


class NumberedUnits(Units):
    """Units whose names end in their numbers, as nobody but these tests would name them."""

    def __init__(self, *cuts: str) -> None:
        super().__init__(None, [cut_named(cut) for cut in cuts])  # type: ignore[arg-type]  # nobody is asked
        self.looked_up: list[Counted] = []

    async def numbers(self, counted: Sequence[Counted]) -> Units32:
        self.looked_up += counted
        return np.array(
            [
                [*map(int, values)]
                for values in zip(*[v for _, v in self.columns.values(self.columns.of(counted))], strict=True)
            ],
            np.int32,
        )


def answer(number: int, revision: int = 1, score: int | None = None, terminal: str = "7", **more: Any) -> CountedAnswer:
    zone, at = more.pop("zone", "Europe/Stockholm"), more.pop("at", NOON)
    facts = Facts("Nordposten Demo", "SE", "home_day", at, zone, f"D-{number}", terminal=terminal, route="9")
    return CountedAnswer(uuid.UUID(int=number), revision, NOON, facts, score, **more)


def block(*answers: CountedAnswer, units: Units | None = None) -> Block:
    return block_of(answers, units or NumberedUnits("terminal"), CLOCK)


def at_units(columns: AnswerColumns, units: list[list[int]]) -> AnswerColumns:
    return AnswerColumns(columns.rows, np.array(units, np.int32), columns.said)


answers_drawn = st.lists(
    st.builds(
        answer,
        st.integers(1, 6),
        st.integers(0, 4),
        st.none() | st.integers(1, 5),
        commented=st.booleans(),
        contested=st.booleans(),
        invited=st.booleans(),
        suspected_machine=st.booleans(),
        rated=st.sampled_from(["carrier", "merchant"]),
        follow_ups=st.dictionaries(st.sampled_from(["ease", "courtesy"]), st.integers(0, 10)),
        zone=st.sampled_from(["Europe/Stockholm", "Asia/Kathmandu"]),
        at=st.integers(0, 100).map(lambda n: NOON + timedelta(minutes=n)),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60)
@given(answers_drawn, st.sampled_from([1, 64]))
def test_columns_hold_what_each_answer_says(told: list[CountedAnswer], times: int) -> None:
    told = told * times
    columns = block(*told).answers
    fields = columns.rows[["revision", "score", "commented", "contested", "series", "minute"]].tolist()
    assert columns.ids() == [a.response_id.bytes for a in told]
    assert fields == [
        (
            a.revision,
            0 if a.score is None else a.score,
            a.commented,
            a.contested,
            SERIES.index(a.series),
            CLOCK.minute(a.delivery.occurred_at, a.delivery.zone),
        )
        for a in told
    ]
    assert [columns.follow_ups(place) for place in range(len(told))] == [a.follow_ups for a in told]


@settings(max_examples=60)
@given(answers_drawn)
def test_of_each_answer_the_last_revision_counts_where_the_first_one_stands(told: list[CountedAnswer]) -> None:
    columns = block(*told).answers
    found = latest(at_units(columns, [[place] for place in range(len(told))]))
    expected = {}
    for number in {a.response_id.int for a in told}:
        of_one = [(place, a) for place, a in enumerate(told) if a.response_id.int == number]
        last = max(a.revision for _, a in of_one)
        chosen = next(place for place, a in of_one if a.revision == last)
        first = next((place for place, a in of_one if a.revision > 0), of_one[-1][0])
        facts = told[first].delivery
        expected[number] = (last, told[chosen].score or 0, CLOCK.minute(facts.occurred_at, facts.zone), first)
    assert {
        int.from_bytes(name, "big"): (revision, score, minute, units[0])
        for name, revision, score, minute, units in zip(
            found.ids(),
            *[found.rows[field].tolist() for field in ("revision", "score", "minute")],
            found.units.tolist(),
            strict=True,
        )
    } == expected


@settings(max_examples=60)
@given(answers_drawn, st.data())
def test_answers_in_columns_add_to_cells_what_each_adds_by_itself(
    told: list[CountedAnswer], data: st.DataObject
) -> None:
    of_one = st.lists(st.integers(0, 3), min_size=2, max_size=2)
    units = data.draw(st.lists(of_one, min_size=len(told), max_size=len(told)))
    known = data.draw(st.integers(0, len(told)))
    before = [
        data.draw(
            st.just(Before(0, None, [3], 5, 7))
            | st.builds(
                Before,
                st.just(1),
                st.tuples(st.none() | st.integers(1, 5), st.booleans(), st.booleans(), st.sampled_from(SERIES)),
                st.just([1, 2]),
                st.just(4),
                st.none() | st.just(8),
            )
        )
        for _ in range(known)
    ]
    kept = Kept(at_units(block(*told).answers, units), before)
    twins = {(unit, series): 100 * unit + len(series) for unit, series in beside(kept)}
    one_by_one: list[Change] = []
    for a, own, was in zip(told, units, [*[None] * (len(told) - known), *before], strict=True):
        minute = CLOCK.minute(a.delivery.occurred_at, a.delivery.zone)
        new = (a.score, a.commented, a.contested, a.series)
        if was is not None and was.counting is not None:
            one_by_one += answer_changes(was.units, was.hour, was.minute, was.counting, new, twins)
        else:
            one_by_one += answer_changes([u for u in own if u], minute // 60, minute % 60, None, new, twins)
        if was is not None and was.counting is None:
            one_by_one.append(Change([3], 5, [(13, -1)], 7))
    masks = np.full(1000, 0b111111, np.int8)
    expected = fold(one_by_one, masks)
    found = fold(changes_of(kept, twins), masks, 0, alike_in(kept))
    assert found.cells.tolist() == expected.cells.tolist()
    assert found.amounts.tolist() == expected.amounts.tolist()


def read_together(*values: bytes | None) -> Block | None:
    return blocks_reader(NumberedUnits("terminal"))([record(RESPONSE_RECORDED, value) for value in values])


@settings(max_examples=8)
@given(answers_drawn)
def test_answers_read_together_are_those_that_are_read_one_by_one(told: list[CountedAnswer]) -> None:
    told = [a for a in told if a.revision] or [answer(1)]
    told *= 64  # fewer are not read together
    values = [msgspec.json.encode(a) for a in told]
    read = read_together(*values)
    assert read is not None
    assert [READ(record(RESPONSE_RECORDED, value)) for value in values] == told
    np.testing.assert_equal(read.answers.rows.tolist(), block(*told).answers.rows.tolist())
    assert [read.again(place) for place in range(len(told))] == told


@pytest.mark.parametrize(
    "strange",
    [
        None,
        b"{",
        msgspec.json.encode(answer(2, zone="Europe/Stokholm")),
        msgspec.json.encode(answer(2, at=datetime(1969, 6, 1, tzinfo=UTC))),
        msgspec.json.encode(answer(2, at=datetime(2262, 6, 1, tzinfo=UTC))),
        msgspec.json.encode(answer(2, score=6)),
        msgspec.json.encode(answer(2, revision=0)),
        msgspec.json.encode(answer(2)).replace(b"0000-", b"0000"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", b"0000000 -"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", b"000000 0-"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", b"000000000"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", b"0000000-0"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", b"0000-000-"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", b"000-0-00-"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", b"x0000000-"),
        msgspec.json.encode(answer(2)).replace(b"00000000-", "é0000000-".encode()),
    ],
)
def test_one_strange_record_has_all_looked_at_alone(strange: bytes | None) -> None:
    good = [msgspec.json.encode(answer(1))] * 64
    assert read_together(*good) is not None
    assert read_together(*good, strange) is None


def test_a_letter_that_stands_in_the_number_before_its_own_is_seen() -> None:
    good, other = msgspec.json.encode(answer(1)), msgspec.json.encode(answer(2))
    long, short = good.replace(b'000001"', b'0000010"'), other.replace(b'"00000000-', b'"0000000-')
    assert read_together(*[good] * 64, long, short) is None


async def test_units_that_were_not_known_when_a_block_was_read_are_looked_up() -> None:
    units = NumberedUnits("terminal", "route")
    units._known["terminal"]["7"], units._known["route"]["9"] = 7, 9
    first, second = block(answer(1), answer(2, terminal="8"), units=units), block(answer(3), units=units)
    assert first.answers.units.tolist() == [[7, 9], [-1, 9]]
    found = await joined([first, second], units)
    assert found.units.tolist() == [[7, 9], [8, 9], [7, 9]]
    assert units.looked_up == [answer(2, terminal="8")]


async def test_units_of_cuts_that_were_changed_since_are_looked_up_anew() -> None:
    units = NumberedUnits("terminal")
    units._known["terminal"]["7"] = 7
    early = block(answer(1), units=units)
    units.cuts, units.version = [cut_named("route"), cut_named("terminal")], 2
    assert (await joined([early, block(answer(2), units=units)], units)).units.tolist() == [[9, 7], [9, 7]]


async def test_what_is_said_to_further_questions_stays_with_its_answer() -> None:
    units = NumberedUnits("terminal")
    told = [answer(1, follow_ups={"ease": 1}), answer(2), answer(3), answer(4, follow_ups={"ease": 4})]
    columns = await joined([block(*told[:1]), block(*told[1:2]), block(*told[2:])], units)
    some = columns.at(np.array([3, 1, 0]))
    assert [some.follow_ups(place) for place in range(3)] == [{"ease": 4}, {}, {"ease": 1}]


async def test_the_last_hundred_tell_when_they_were_saved() -> None:
    columns = block(*[answer(n) for n in range(150)]).answers
    assert columns.recorded() == [NOON.timestamp()] * 100
