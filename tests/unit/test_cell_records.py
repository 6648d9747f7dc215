"""Cells as records: the quick encoder says the same as the slow one."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from aiokafka.record._protocols import DefaultRecordProtocol
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import decode, read_record
from schemas.satisfaction import SatisfactionCell
from schemas.topics import CARDS, SATISFACTION_CELLS
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.publishing.batches import Records, SharedHeaders, WrittenBatch, written
from services.aggregator.publishing.columns import numbers, texts, varints
from services.aggregator.publishing.publisher import cell_key, cell_message
from services.aggregator.publishing.records import CellBatch, CellRecords
from services.chassis.record_batches import partition_of

NOW = datetime(2026, 10, 13, 14, 5, 6, 789, tzinfo=UTC)
UNITS = {7: ("terminal.method", 'År"sta × home\\day'), 8: ("total", "")}


class Names:
    """A database that knows units, and counts how often it is asked."""

    def __init__(self, units: Mapping[int, tuple[str, str]] = UNITS) -> None:
        self.units = units
        self.asked: list[list[int]] = []

    async def fetch(self, _: str, units: list[int]) -> list[dict[str, Any]]:
        self.asked.append(units)
        return [{"id": n, "cut": self.units[n][0], "value": self.units[n][1]} for n in units]


def row(unit: int, window: int, index: int, first: int = 1) -> list[int]:
    return [unit << 32 | window << 30 | index, first + 20, *range(first, first + 14)]


def records_of(batch: WrittenBatch) -> list[DefaultRecordProtocol]:
    """The records, by aiokafka's reader of batches."""
    parsed = MemoryRecords(bytes(batch._build())).next_batch()
    assert parsed is not None
    assert parsed.validate_crc()
    return [*parsed]


def read(batches: Sequence[CellBatch]) -> list[tuple[int, DefaultRecordProtocol]]:
    """Partitions and records."""
    return [(partition, record) for partition, batch, _ in batches for record in records_of(batch)]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("window", "index"),
    [(0, 497_654), (1, 20_739), (2, 681), (3, 0), (3, (1 << 28) | 2963), (3, (2 << 28) | 29_859_245)],
)
def test_a_record_says_what_the_cell_says(unit: int, window: int, index: int) -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(unit, window, index)])
    asyncio.run(made.learn(Names(), rows[:, 0]))  # type: ignore[arg-type]
    [(partition, record)] = read(made.batches(rows, NOW, [0, 1, 2]))
    cut, value = UNITS[unit]
    counters = dict(zip(COLUMNS, range(1, 15), strict=True))
    told = {"cell": int(rows[0, 0]), "version": 21, "cut": cut, "value": value, **counters}
    expected = cell_message(told, NOW)  # type: ignore[arg-type]
    assert record.value is not None
    assert orjson.loads(record.value) == expected
    assert record.key == cell_key(cut, value, str(expected["window"]), expected["start"]).encode()  # type: ignore[arg-type]
    assert partition == partition_of(record.key, [0, 1, 2])
    assert record.timestamp == 1_791_900_306_000
    assert record.key == made.key(int(rows[0, 0]))
    cell = decode(SatisfactionCell, read_record(record.value, record.headers, record.key))
    assert (cell.scores, cell.answers, cell.delivered, cell.contested) == ((1, 2, 3, 4, 5), 15, 6, 12)
    assert (cell.reached, cell.opened) == (13, 14)


def test_the_same_version_of_a_cell_is_the_same_event_and_the_next_one_is_another() -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(7, 3, 0), row(7, 3, 0), row(7, 3, 0, first=2), row(8, 3, 0)])
    names = Names()
    asyncio.run(made.learn(names, rows[:, 0]))  # type: ignore[arg-type]
    asyncio.run(made.learn(names, rows[:, 0]))  # type: ignore[arg-type]
    assert [sorted(units) for units in names.asked] == [[7, 8]]
    ids = [read_record(r.value, r.headers).id for _, r in read(made.batches(rows, NOW, [0]))]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_cells_of_a_cut_that_is_not_shown_yet_are_told_by_nobody() -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(7, 3, 0), row(9, 3, 0), row(8, 3, 0)])
    asyncio.run(made.learn(Names(), rows[[0, 2], 0]))  # type: ignore[arg-type]
    assert [record.key for _, record in read(made.batches(rows, NOW, [0]))] == [made.key(c) for c in rows[[0, 2], 0]]
    assert made.others(rows, NOW) == []


def test_batches_are_no_larger_than_the_topic_takes_and_keep_their_order() -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(7, 0, index) for index in range(1500)])
    asyncio.run(made.learn(Names(), rows[:, 0]))  # type: ignore[arg-type]
    batches = made.batches(rows, NOW, [0])
    most = CARDS[SATISFACTION_CELLS].max_message_bytes
    assert most * 15 // 16 - 1000 < max(batch.size() for _, batch, _ in batches) < most * 15 // 16 + 100
    assert 3 <= len(batches) <= 5
    records = [record for _, record in read(batches)]
    assert [r.key for r in records] == [made.key(cell) for cell in rows[:, 0].tolist()]
    assert [r.offset for r in records] == [n for _, b, _ in batches for n in range(b.record_count())]
    assert [row for *_, told in batches for row in told.tolist()] == [[cell, 21] for cell in rows[:, 0].tolist()]


def test_cells_of_all_partitions_are_told_each_with_its_own_counters_and_in_their_order() -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(unit, 0, index, first=index + unit) for unit in (7, 8) for index in range(40)])
    asyncio.run(made.learn(Names(), rows[:, 0]))  # type: ignore[arg-type]
    told: dict[int, list[int]] = {0: [], 1: [], 2: []}
    of_key = {made.key(cell): (cell, counters) for cell, _, *counters in rows.tolist()}
    for partition, record in read(made.batches(rows, NOW, [0, 1, 2])):
        cell, counters = of_key[record.key]
        value = orjson.loads(record.value or b"")
        assert [*value["scores"], *(value[name] for name in COLUMNS[5:])] == counters
        assert value["version"] == counters[0] + 20
        assert dict(record.headers)["ce_id"] == f"{cell >> 32:x}{cell & 0xFFFFFFFF:08x}.{counters[0] + 20}".encode()
        assert partition == partition_of(record.key, [0, 1, 2])
        told[partition].append(cell)
    assert all(len(cells) > 10 for cells in told.values())
    assert [sorted(cells) for cells in told.values()] == [*told.values()]
    assert sum(map(len, told.values())) == len(rows)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300)
numbers_told = st.one_of(st.integers(0, 20), st.integers(-1, 10**15))
cells = st.tuples(
    st.sampled_from([0, 1, 2, 3]),
    st.sampled_from([0, 497_654, 1 << 30, 20_739 | 1 << 30, 681 | 2 << 30, 3 << 30, 13 << 28 | 2963, 14 << 28 | 7]),
    st.lists(numbers_told, min_size=15, max_size=15),
)


@given(st.lists(names, min_size=4, max_size=4), st.lists(cells, min_size=1, max_size=40, unique_by=lambda c: c[:2]))
def test_any_cells_are_told_as_one_by_one(values: list[str], told: list[tuple[int, int, list[int]]]) -> None:
    units = {n: (f"cut{n}", value) for n, value in enumerate(values)}
    rows = np.array([[unit << 32 | window, *of_one] for unit, window, of_one in told])
    made = CellRecords({"names_of_units": ""})
    asyncio.run(made.learn(Names(units), rows[:, 0]))  # type: ignore[arg-type]
    of_cell = {}
    for cell, version, *counters in rows.tolist():
        row = {"cell": cell, "version": version, **dict(zip(COLUMNS, counters, strict=True))}
        cut, value = units[cell >> 32]
        message = cell_message({**row, "cut": cut, "value": value}, NOW)  # type: ignore[arg-type]
        key = cell_key(cut, value, str(message["window"]), message["start"])  # type: ignore[arg-type]
        of_cell[key.encode()] = message, f"{cell >> 32:x}{cell & 0xFFFFFFFF:08x}.{version}".encode()
    batches = made.batches(rows, NOW, [0, 1, 2])
    quick = read(batches)
    told_rows = [tuple(row) for *_, of_one in batches for row in of_one.tolist()]
    assert [(made.key(cell), version) for cell, version in told_rows] == [
        (record.key, of_cell[record.key or b""][0]["version"]) for _, record in quick
    ]
    assert all(partition == partition_of(record.key, [0, 1, 2]) for partition, record in quick)
    slow = made.others(rows, NOW)
    found = {r.key: (orjson.loads(r.value or b""), dict(r.headers)["ce_id"]) for r in [*(r for _, r in quick), *slow]}
    assert found == of_cell
    assert len(quick) + len(slow) == len(rows)
    assert len(slow) == sum(min(of_one) < 0 for _, _, of_one in told)


def test_a_number_that_columns_cannot_tell_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        numbers(np.array([5, -1]))
    with pytest.raises(ValueError, match="long"):
        varints(np.array([5, 8192]))


def test_a_cell_with_a_name_longer_than_columns_take_is_told_by_itself() -> None:
    units = {1: ("driver", "D" * 5_000), 2: ("driver", "D-1"), 3: ("driver", "D" * 2_000)}
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(unit, 3, 0) for unit in units])
    asyncio.run(made.learn(Names(units), rows[:, 0]))  # type: ignore[arg-type]
    assert sorted(record.key for _, record in read(made.batches(rows, NOW, [0]))) == [
        b"driver|D-1|all|",
        b"driver|" + b"D" * 2_000 + b"|all|",
    ]
    [other] = made.others(rows, NOW)
    assert other.key == b"driver|" + b"D" * 5_000 + b"|all|"
    assert orjson.loads(other.value or b"")["answers"] == 15


records = st.tuples(*[st.text(max_size=80).map(str.encode)] * 3)


@given(st.lists(records, min_size=1, max_size=200), st.integers(0, 200))
def test_a_written_batch_is_read_as_it_was_meant(told: list[tuple[bytes, bytes, bytes]], others: int) -> None:
    keys, values, own = zip(*told, strict=True)
    halves = texts([value[:7] for value in values]), texts([value[7:] for value in values])
    headers = SharedHeaders.of([("a", b"1"), ("own", b""), ("b", b"2" * 200)], "own")
    half = min(others, len(told))
    columns = Records([texts(keys)], [halves[0], b"x", halves[1]], [texts(own)])
    batches = [*itertools.chain.from_iterable(written(columns, [half, len(told)], 1_700_000_000_123, headers))]
    assert [batch.count for batch in batches] == [n for n in (half, len(told) - half) if n]
    for batch in batches:
        batch._set_producer_state(7, 8, 9)
    found = [record for batch in batches for record in records_of(batch)]
    assert [(r.key, r.value, r.headers[1]) for r in found] == [
        (k, v[:7] + b"x" + v[7:], ("own", o)) for k, v, o in told
    ]
    assert {(r.headers[0], r.headers[2], r.timestamp) for r in found} == {
        (("a", b"1"), ("b", b"2" * 200), 1_700_000_000_123)
    }
    parsed = MemoryRecords(bytes(batches[-1]._build())).next_batch()
    assert parsed is not None
    assert (parsed.producer_id, parsed.next_offset) == (7, batches[-1].count)
