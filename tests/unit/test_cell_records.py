"""Cells as records: the quick encoder says the same as the slow one."""

import asyncio
from collections.abc import Sequence
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
from services.aggregator.publishing.batches import SharedHeaders, Told, WrittenBatch, written
from services.aggregator.publishing.publisher import cell_key, cell_message
from services.aggregator.publishing.records import CellRecords
from services.chassis.record_batches import partition_of

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
    return [unit << 32 | window << 30 | index, first + 20, *range(first, first + 14)]


def read(batches: Sequence[tuple[int, WrittenBatch]]) -> list[tuple[int, DefaultRecordProtocol]]:
    """Partitions and records, by aiokafka's reader of batches."""
    found = []
    for partition, batch in batches:
        parsed = MemoryRecords(bytes(batch._build())).next_batch()
        assert parsed is not None
        assert parsed.validate_crc()
        found += [(partition, record) for record in parsed]
    return found


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


def test_batches_are_no_larger_than_the_topic_takes_and_keep_their_order() -> None:
    made = CellRecords({"names_of_units": ""})
    rows = np.array([row(7, 0, index) for index in range(1500)])
    asyncio.run(made.learn(Names(), rows[:, 0]))  # type: ignore[arg-type]
    batches = made.batches(rows, NOW, [0])
    half = CARDS[SATISFACTION_CELLS].max_message_bytes // 2
    assert half - 1000 < max(batch.size() for _, batch in batches) < half + 100
    assert 4 <= len(batches) <= 9
    records = [record for _, record in read(batches)]
    assert [r.key for r in records] == [made.key(cell) for cell in rows[:, 0].tolist()]
    assert [r.offset for r in records] == [n for _, b in batches for n in range(b.record_count())]
    assert [told for _, batch in batches for told in batch.versions] == [(r.key, 21) for r in records]


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


records = st.tuples(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=100))


@given(st.lists(records, min_size=1, max_size=200))
def test_a_written_batch_is_read_as_it_was_meant(told: list[tuple[bytes, bytes, bytes]]) -> None:
    keys, values, own = zip(*told, strict=True)
    halves = [value[:7] for value in values], [value[7:] for value in values]
    headers = SharedHeaders.of([("a", b"1"), ("own", b""), ("b", b"2" * 200)], "own")
    [batch] = written(Told(keys, halves, [own], [1] * len(told)), 1_700_000_000_123, headers)
    batch._set_producer_state(7, 8, 9)
    found = read([(0, batch)])
    assert [(r.key, r.value, r.headers[1]) for _, r in found] == [(k, v, ("own", own)) for k, v, own in told]
    assert {(r.headers[0], r.headers[2], r.timestamp) for _, r in found} == {
        (("a", b"1"), ("b", b"2" * 200), 1_700_000_000_123)
    }
    parsed = MemoryRecords(bytes(batch._build())).next_batch()
    assert parsed is not None
    assert (parsed.producer_id, parsed.next_offset) == (7, len(told))
