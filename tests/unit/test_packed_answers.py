"""Answers packed for COPY are those of PostgreSQL's documentation of the format, byte for byte."""

import uuid
from datetime import UTC, datetime

import numpy as np

from services.aggregator.counting.answer_columns import AnswerColumns, block_of
from services.aggregator.counting.local_clock import LocalClock
from services.aggregator.counting.packed_answers import packed_answers, packed_ids
from services.aggregator.counting.reading import CountedAnswer, Facts
from services.aggregator.counting.units import Units

AT = datetime(2026, 10, 13, 14, 5, tzinfo=UTC)
FACTS = Facts("Nordposten Demo", "SE", "home_day", AT, "Europe/Stockholm", "D-1")
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
ROW = "0009 00000010 00000000000000000000000000000007"


def answer(**more: object) -> CountedAnswer:
    return CountedAnswer(uuid.UUID(int=7), 3, AT, FACTS, **more)  # type: ignore[arg-type]


def placed(units: list[list[int]], minutes: list[int], *answers: CountedAnswer) -> AnswerColumns:
    """Answers in columns with these units, 0 where there is none, and at these minutes."""
    rows = block_of(answers, Units(None, []), LocalClock()).answers.rows  # type: ignore[arg-type]  # without cuts nobody is asked
    rows["minute"] = minutes
    return AnswerColumns(rows, np.array(units, np.int32).reshape(len(answers), -1))


def test_an_answer_is_packed_with_its_units_hour_and_minute() -> None:
    one = placed([[1, 258]], [61], answer(score=5, commented=True))
    told = (
        f"{ROW} 00000004 00000003 00000002 0005 00000001 01 00000001 00 00000004 00000001"
        " 00000024 00000001 00000000 00000017 00000002 00000001 00000004 00000001 00000004 00000102"
        " 00000002 0001 ffffffff"
    )
    assert packed_answers(one) == HEADER + bytes.fromhex(told) + b"\xff\xff"


def test_an_answer_without_score_or_units_and_with_a_series_is_packed_too() -> None:
    one = placed([[0]], [60], answer(contested=True, suspected_machine=True))
    told = (
        f"{ROW} 00000004 00000003 ffffffff 00000001 00 00000001 01 00000004 00000001"
        " 0000000c 00000000 00000000 00000017 00000002 0000 00000007 6d616368696e65"
    )
    assert packed_answers(one) == HEADER + bytes.fromhex(told) + b"\xff\xff"
    assert packed_answers(one.at(np.empty(0, np.int64))) == HEADER + b"\xff\xff"


def test_the_numbers_of_answers_are_packed_as_one_array() -> None:
    two = placed([[1], [1]], [61, 61], answer(), answer())
    number = ROW[5:]
    told = f"0001 0000003c 00000001 00000000 00000b86 00000002 00000001 {number} {number}"
    assert packed_ids(two) == HEADER + bytes.fromhex(told) + b"\xff\xff"


def test_answers_of_different_shapes_are_packed_as_if_each_were_alone() -> None:
    every = placed(
        [[1, 258], [1, 258], [0, 3], [3, 0], [9, 70_000]],
        [61, 62, 122, 122, 3_000_000],
        answer(score=5),
        answer(),
        answer(score=4),
        answer(score=3, invited=False),
        answer(score=1, contested=True),
    )
    alone = [packed_answers(every.at(np.array([place])))[len(HEADER) : -2] for place in range(5)]
    packed = packed_answers(every)
    assert len(packed) == len(HEADER) + sum(map(len, alone)) + 2
    assert all(packed.count(row) == 1 for row in alone)
