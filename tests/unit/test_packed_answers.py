"""Answers packed for COPY are those of PostgreSQL's documentation of the format, byte for byte."""

import uuid
from datetime import UTC, datetime

from services.aggregator.counting.answers import Placed
from services.aggregator.counting.packed_answers import packed_answers
from services.aggregator.counting.reading import CountedAnswer, Facts

AT = datetime(2026, 10, 13, 14, 5, tzinfo=UTC)
FACTS = Facts("Nordposten Demo", "SE", "home_day", AT, "Europe/Stockholm", "D-1")
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
ROW = "0009 00000010 00000000000000000000000000000007"


def answer(**more: object) -> CountedAnswer:
    return CountedAnswer(uuid.UUID(int=7), 3, AT, FACTS, **more)  # type: ignore[arg-type]


def test_an_answer_is_packed_with_its_units_hour_and_minute() -> None:
    placed = Placed(answer(score=5, commented=True), [1, 258], 61)
    told = (
        f"{ROW} 00000004 00000003 00000002 0005 00000001 01 00000001 00 00000004 00000001"
        " 00000024 00000001 00000000 00000017 00000002 00000001 00000004 00000001 00000004 00000102"
        " 00000002 0001 ffffffff"
    )
    assert packed_answers([placed]) == HEADER + bytes.fromhex(told) + b"\xff\xff"


def test_an_answer_without_score_or_units_and_with_a_series_is_packed_too() -> None:
    placed = Placed(answer(contested=True, suspected_machine=True), [], 60)
    told = (
        f"{ROW} 00000004 00000003 ffffffff 00000001 00 00000001 01 00000004 00000001"
        " 0000000c 00000000 00000000 00000017 00000002 0000 00000007 6d616368696e65"
    )
    assert packed_answers([placed]) == HEADER + bytes.fromhex(told) + b"\xff\xff"
    assert packed_answers([]) == HEADER + b"\xff\xff"


def test_answers_of_different_shapes_are_packed_as_if_each_were_alone() -> None:
    placed = [
        Placed(answer(score=5), [1, 258], 61),
        Placed(answer(), [1, 258], 62),
        Placed(answer(score=4), [3], 122),
        Placed(answer(score=3, invited=False), [3], 122),
        Placed(answer(score=1, contested=True), [9, 70_000], 3_000_000),
    ]
    alone = [packed_answers([p])[len(HEADER) : -2] for p in placed]
    packed = packed_answers(placed)
    assert len(packed) == len(HEADER) + sum(map(len, alone)) + 2
    assert all(packed.count(row) == 1 for row in alone)
