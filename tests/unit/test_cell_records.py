"""Cells as records: the quick encoder says the same as the slow one."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest

from schemas.cloudevents import decode, read_record
from schemas.satisfaction import SatisfactionCell
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.publishing.publisher import cell_key, cell_message
from services.aggregator.publishing.records import CellRecords
from services.chassis.record_batches import murmur2

NOW = datetime(2026, 10, 13, 14, 5, 6, 789, tzinfo=UTC)
UNITS = {7: ("terminal.method", 'År"sta × home\\day'), 8: ("total", "")}


class Names:
    """A database that knows the units above, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    async def fetch(self, _: str, units: list[int]) -> list[dict[str, Any]]:
        self.asked.append(units)
        return [{"id": n, "cut": UNITS[n][0], "value": UNITS[n][1]} for n in units]


def row(unit: int, window: int, index: int, first: int = 1) -> list[int]:
    return [unit << 32 | window << 30 | index, first + 20, *range(first, first + 12)]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("window", "index"),
    [(0, 497_654), (1, 20_739), (2, 681), (3, 0), (3, (1 << 28) | 2963), (3, (2 << 28) | 29_859_245)],
)
def test_a_record_says_what_the_cell_says(unit: int, window: int, index: int) -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(unit, window, index)])
    asyncio.run(made.learn(Names(), rows[:, 0]))  # type: ignore[arg-type]
    [record] = made.records(rows, NOW)
    cut, value = UNITS[unit]
    counters = dict(zip(COLUMNS, range(1, 13), strict=True))
    told = {"cell": int(rows[0, 0]), "version": 21, "cut": cut, "value": value, **counters}
    expected = cell_message(told, NOW)  # type: ignore[arg-type]
    assert record.value is not None
    assert orjson.loads(record.value) == expected
    assert record.key == cell_key(cut, value, str(expected["window"]), expected["start"]).encode()  # type: ignore[arg-type]
    assert record.hashed == murmur2(record.key or b"")
    assert record.key == made.key(int(rows[0, 0]))
    cell = decode(SatisfactionCell, read_record(record.value, record.headers, record.key))
    assert (cell.scores, cell.answers, cell.delivered, cell.contested) == ((1, 2, 3, 4, 5), 15, 6, 12)


def test_the_same_version_of_a_cell_is_the_same_event_and_the_next_one_is_another() -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(7, 3, 0), row(7, 3, 0), row(7, 3, 0, first=2), row(8, 3, 0)])
    names = Names()
    asyncio.run(made.learn(names, rows[:, 0]))  # type: ignore[arg-type]
    asyncio.run(made.learn(names, rows[:, 0]))  # type: ignore[arg-type]
    assert [sorted(units) for units in names.asked] == [[7, 8]]
    ids = [read_record(r.value, r.headers).id for r in made.records(rows, NOW)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
