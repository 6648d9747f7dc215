"""What the publisher keeps of counted cells, so that it need not read them again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.aggregator.publishing.counted_cells import CountedCells, newest

Rows = list[list[int]]


def rows(*of: list[int]) -> NDArray[np.int64]:
    return np.array(of, np.int64).reshape(-1, 3)


@pytest.mark.parametrize(
    ("read", "counted", "expected"),
    [
        ([], [[[7, 1, 10]], [[7, 2, 20]]], [[7, 2, 20]]),
        ([], [[[7, 2, 20]], [[7, 1, 10]]], [[7, 2, 20]]),
        ([[7, 3, 30]], [[[7, 2, 20], [9, 1, 5]]], [[7, 3, 30], [9, 1, 5]]),
        ([[7, 0, 0]], [[[7, 2, 20]]], [[7, 0, 0]]),
        ([[9, 1, 5]], [], [[9, 1, 5]]),
        ([], [[]], []),
    ],
    ids=[
        "the later batch wins",
        "whatever the order",
        "what was read wins",
        "also where it is gone",
        "nothing counted here",
        "nothing",
    ],
)
def test_of_each_cell_the_newest_state_is_published(read: Rows, counted: list[Rows], expected: Rows) -> None:
    assert newest(rows(*read), [rows(*c) for c in counted]).tolist() == expected


def test_cells_are_kept_by_batch_until_they_are_published() -> None:
    counted = CountedCells()
    counted.begin()
    for number in (3, 4, 8):
        counted.keep(number, rows([number, 1, 1]))
    assert {n: r.tolist() for n, r in counted.of([3, 5, 8]).items()} == {3: [[3, 1, 1]], 8: [[8, 1, 1]]}
    counted.forget([4])
    assert list(counted.of([3, 4, 8])) == [8]


def test_the_oldest_batches_go_first_when_there_are_too_many_cells() -> None:
    counted = CountedCells(most=4)
    counted.begin()
    for number in range(3):
        counted.keep(number, rows([1, 1, 1], [2, 1, 1]))
    assert list(counted.of(range(3))) == [1, 2]


def test_memory_is_full_once_two_thirds_of_it_are_held_and_has_room_again_when_all_was_published() -> None:
    counted = CountedCells(most=6)
    counted.begin()
    counted.keep(1, rows([1, 1, 1], [2, 1, 1], [3, 1, 1], [4, 1, 1]))
    before = counted.full
    counted.keep(2, rows([1, 2, 1]))
    assert (before, counted.full) == (False, True)
    counted.forget([2])
    assert not counted.full


def test_nothing_is_kept_where_another_process_publishes() -> None:
    counted = CountedCells()
    counted.keep(1, rows([1, 1, 1]))
    assert counted.of([1]) == {}
    counted.begin()
    counted.keep(2, rows([1, 1, 1]))
    counted.end()
    assert counted.of([2]) == {}
    counted.begin()
    assert counted.of([2]) == {}
