"""Cells as records: the quick encoder says the same as the slow one."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from schemas.cloudevents import decode, read_record
from schemas.satisfaction import SatisfactionCell
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.publishing.publisher import cell_key, cell_message
from services.aggregator.publishing.records import CellRecords

NOW = datetime(2026, 10, 13, 14, 5, 6, 789, tzinfo=UTC)
UNITS = {7: ("terminal.method", 'År"sta × home\\day'), 8: ("total", "")}


class Names:
    """A database that knows the units above, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    async def fetch(self, _: str, units: list[int]) -> list[dict[str, Any]]:
        self.asked.append(units)
        return [{"id": n, "cut": UNITS[n][0], "value": UNITS[n][1]} for n in units]


class Row(dict[str, Any]):
    """Like a database's row: fields by name, values when iterated."""

    def __iter__(self) -> Any:
        return iter(self.values())


def row(unit: int, window: int, index: int, first: int = 1) -> Row:
    counters = dict(zip(COLUMNS, range(first, first + 12), strict=True))
    return Row(cell=unit << 32 | window << 30 | index, version=first + 20, **counters)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("window", "index"),
    [(0, 497_654), (1, 20_739), (2, 681), (3, 0), (3, (1 << 28) | 2963), (3, (2 << 28) | 29_859_245)],
)
def test_a_record_says_what_the_cell_says(unit: int, window: int, index: int) -> None:
    made = CellRecords({"names_of_units": ""})
    rows = [row(unit, window, index)]
    asyncio.run(made.learn(Names(), [r["cell"] for r in rows]))  # type: ignore[arg-type]
    [record] = made.records(rows, NOW)  # type: ignore[arg-type]
    cut, value = UNITS[unit]
    expected = cell_message(Row({**rows[0], "cut": cut, "value": value}), NOW)  # type: ignore[arg-type]
    assert record.value is not None
    assert orjson.loads(record.value) == expected
    assert record.key == cell_key(cut, value, str(expected["window"]), expected["start"]).encode()  # type: ignore[arg-type]
    assert record.key == made.key(rows[0]["cell"])
    cell = decode(SatisfactionCell, read_record(record.value, record.headers, record.key))
    assert (cell.scores, cell.answers, cell.delivered, cell.contested) == ((1, 2, 3, 4, 5), 15, 6, 12)


def test_the_same_version_of_a_cell_is_the_same_event_and_the_next_one_is_another() -> None:
    made = CellRecords({"names_of_units": ""})
    rows = [row(7, 3, 0), row(7, 3, 0), row(7, 3, 0, first=2), row(8, 3, 0)]
    names = Names()
    asyncio.run(made.learn(names, [r["cell"] for r in rows]))  # type: ignore[arg-type]
    asyncio.run(made.learn(names, [r["cell"] for r in rows]))  # type: ignore[arg-type]
    assert [sorted(units) for units in names.asked] == [[7, 8]]
    ids = [read_record(r.value, r.headers).id for r in made.records(rows, NOW)]  # type: ignore[arg-type]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
