"""The audit as it compares and as it is told, without servers."""

from collections.abc import AsyncIterator
from uuid import UUID

from services.aggregator.cells.rows import Difference
from services.audit import Answer, Audit, side_by_side
from services.notifier.ledger import Ledger
from services.notifier.reconcile import Reconciled


def answer(number: int) -> Answer:
    return Answer(UUID(int=number), 1, 5, contested=False)


async def read(numbers: list[int], taken: list[int]) -> AsyncIterator[Answer]:
    for number in numbers:
        taken.append(number)
        yield answer(number)


async def pairs(ours: list[int], theirs: list[int]) -> list[tuple[int | None, int | None]]:
    found = []
    async for left, right in side_by_side(read(ours, []), read(theirs, [])):
        found.append((left and left.response_id.int, right and right.response_id.int))
    return found


async def test_answers_of_both_sides_are_paired_by_their_id_and_lonely_ones_stay_alone() -> None:
    assert await pairs([1, 2, 5], [2, 3, 5, 9]) == [(1, None), (2, 2), (None, 3), (5, 5), (None, 9)]
    assert await pairs([1, 2**127], []) == [(1, None), (2**127, None)]
    assert await pairs([], [4]) == [(None, 4)]
    assert await pairs([], []) == []


async def test_comparing_holds_one_answer_of_each_side_however_many_there_are() -> None:
    ours: list[int] = []
    theirs: list[int] = []
    async for left, right in side_by_side(read([*range(0, 300, 2)], ours), read([*range(0, 300, 3)], theirs)):
        at = (left or right or answer(0)).response_id.int
        assert ours[-1] <= at + 2
        assert theirs[-1] <= at + 3
    assert (len(ours), len(theirs)) == (150, 100)


def test_the_audit_names_the_first_cells_that_differ_and_counts_the_rest() -> None:
    cell = Difference("terminal", "Årsta", 7, [1], [2])
    told = Audit(acknowledged=2, counted=2, lost=0, double=0, in_flight=0, differing_cells=3, differing=[cell])
    assert told.lines() == [
        "NOT CLEAN: 0 lost, 0 double, 3 differing cells",
        "2 answers acknowledged, 2 counted, 0 on their way",
        "0 deliveries in the counters",
        "  terminal 'Årsta' (cell 7): counted [1], should be [2]",
        "  and 2 more",
    ]
    assert told.as_dict()["differing_cells"] == 3


def test_reconciling_names_the_first_twenty_deliveries_and_counts_the_rest() -> None:
    found = Reconciled(Ledger.of([]))
    found.name([f"D-{n}" for n in range(15)])
    found.name(["D-3", *(f"D-{n}" for n in range(15, 40))])
    assert found.undecided == [f"D-{n}" for n in range(20)]
    assert found.lines()[-2:] == ["  D-19: read, and never decided", "  and 20 more"]
    assert not found.clean
