"""What the publisher knows of its topic: the last version of each cell, and the cell of each key."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.publishing.followed import version_in
from services.aggregator.publishing.keys import CellKeys
from services.aggregator.publishing.records import CellRecords
from services.aggregator.publishing.seen import SeenVersions


def rows(*of: tuple[int, int]) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.array(of, np.int64).reshape(-1, 2)


def test_cells_are_behind_whose_last_record_tells_a_lower_version_or_that_have_none() -> None:
    seen = SeenVersions()
    seen.tell(rows((5, 2), (3, 9), (5, 3)))
    seen.tell(rows((7, 1), (3, 8)))
    assert seen.behind(rows((3, 9), (5, 3), (7, 1), (1, 1), (9, 1))).tolist() == [3, 1, 9]
    seen.tell(rows((3, 9), (7, 0)))
    assert seen.behind(rows((3, 9), (5, 4), (7, 1))).tolist() == [5, 7]


def test_nothing_was_seen_before_anything_is_told_and_after_it_was_cleared() -> None:
    seen = SeenVersions()
    assert seen.behind(rows((3, 1))).tolist() == [3]
    seen.tell(rows((3, 1)))
    assert seen.behind(rows((3, 1))).tolist() == []
    seen.clear()
    assert seen.behind(rows((3, 1))).tolist() == [3]
    assert seen.behind(rows()).tolist() == []


def test_cells_that_are_told_and_not_met_are_beyond_unless_they_were_taken_back() -> None:
    seen = SeenVersions()
    seen.tell(rows((5, 2), (3, 9), (7, 1), (8, 4), (8, 0)))
    met = seen.none_met()
    for counted in (rows((3, 9), (4, 1)), rows((9, 1))):
        seen.behind(counted, met)
    assert seen.beyond(met).tolist() == [5, 7]
    seen.tell(rows((7, 0)))
    assert seen.beyond(seen.none_met()).tolist() == [3, 5]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)))),
    st.dictionaries(st.integers(0, 40), st.integers(1, 9)),
)
def test_the_last_word_on_a_cell_counts(told: list[list[tuple[int, int]]], counted: dict[int, int]) -> None:
    seen = SeenVersions()
    last: dict[int, int] = {}
    for of_one in told:
        seen.tell(rows(*of_one))
        last.update(of_one)
    expected = [cell for cell, version in counted.items() if last.get(cell, 0) < version]
    assert seen.behind(rows(*counted.items())).tolist() == expected


def test_what_is_told_takes_no_more_room_than_three_times_its_cells() -> None:
    seen = SeenVersions()
    many = np.column_stack((np.arange(150_000), np.ones(150_000, np.int64)))
    for version in range(1, 6):
        seen.tell(many * (1, version))
    assert len(seen._settled) + sum(map(len, seen._later)) <= 3 * len(many)
    assert len(seen.behind(many * (1, 5))) == 0
    assert len(seen.behind(many * (1, 6))) == len(many)


@pytest.mark.parametrize(
    ("value", "version"),
    [
        (b'{"version": 7}', 7),
        (b'{"version": 9223372036854775807}', 9223372036854775807),
        (b'{"version": 9223372036854775808}', 0),
        (b'{"version": 1e300}', 0),
        (b'{"version": -1}', 0),
        (b'{"version": "x"}', 0),
        (b"[]", 0),
        (b"", 0),
        (None, 0),
    ],
)
def test_a_version_that_cannot_be_is_older_than_everything(value: bytes | None, version: int) -> None:
    assert version_in(value) == version


class Names:
    """A database that knows two units."""

    async def fetch(self, query: str, *wanted: list[Any]) -> list[dict[str, Any]]:
        units = [{"id": 7, "cut": "terminal.method", "value": "År|sta × home"}, {"id": 8, "cut": "total", "value": ""}]
        if query == "names":
            return units
        return [unit for unit in units if (unit["cut"], unit["value"]) in zip(*wanted, strict=True)]


@pytest.mark.parametrize("unit", [7, 8])
@pytest.mark.parametrize(
    "window",
    [497_654, 1 << 30 | 20_739, 2 << 30 | 681, 3 << 30, 3 << 30 | 1 << 28 | 2963, 3 << 30 | 2 << 28 | 29_859_245],
)
async def test_a_key_names_the_cell_that_it_was_made_of(unit: int, window: int) -> None:
    made = CellRecords({"names_of_units": "names"})
    cell = unit << 32 | window
    await made.learn(Names(), np.array([cell]))  # type: ignore[arg-type]
    key = made.key(cell)
    assert key is not None
    assert await CellKeys({"find_units": "find"}).cells(Names(), [key]) == [cell]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\xff|x|all|",
        b"total",
        b"total||all",
        b"total||year|2026",
        b"total||hour|",
        b"total||hour|1969-01-01T00:00",
        b"total||hour|2026-10-13T14:00+02:00",
        b"total||day|9999-99-99",
        b"total||minute|9999-12-31T00:00",
        b"unknown||all|",
        b"total|\0|all|",
    ],
)
async def test_a_key_of_others_names_no_cell(key: bytes) -> None:
    assert await CellKeys({"find_units": "find"}).cells(Names(), [key, b"total||all|"]) == [None, 8 << 32 | 3 << 30]  # type: ignore[arg-type]
