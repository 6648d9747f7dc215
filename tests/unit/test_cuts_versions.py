"""One version of the file of cuts names one list of cuts, and versions only rise."""

from datetime import UTC, datetime

import pytest

from services.aggregator.counting.cuts import Cut, CutsFile, cut_named
from services.aggregator.counting.stored_cuts import (
    BUILT,
    COUNTED,
    LEAVING,
    FileVersions,
    StoredCut,
    refusal,
    refusal_to_build,
    standing,
)

TOTAL, ROUTE, METHOD = (cut_named(n) for n in ("total", "route", "method"))
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def stored(**states: str) -> list[StoredCut]:
    return [StoredCut(cut_named(name), state, NOW, cut_named(name)) for name, state in states.items()]


AT_REST = stored(total=COUNTED, route=COUNTED)
BUILDING = stored(total=COUNTED, route=LEAVING, method=BUILT)
OLD, NEW, OTHER = (TOTAL, ROUTE), (TOTAL, METHOD), (TOTAL,)


@pytest.mark.parametrize(
    ("version", "cuts", "why_not"),
    [
        (3, OLD, None),
        (4, OLD, None),  # a comment was changed
        (2, OLD, "version 2, and version 3 is counted: give this process the newer file"),
        (0, OLD, "version 0, and version 3 is counted"),
        (3, NEW, "new: method; gone: route. Write `version = 4` at the head of the file. Build what is new"),
        (4, NEW, "(version 4) are not those that are counted (version 3): new: method; gone: route. Build what is new"),
    ],
)
def test_a_service_starts_with_the_version_that_is_counted_or_a_later_one_of_the_same_cuts(
    version: int, cuts: tuple[Cut, ...], why_not: str | None
) -> None:
    told = refusal(CutsFile(version, cuts), AT_REST, FileVersions(3))
    assert told is None if why_not is None else why_not in str(told)


@pytest.mark.parametrize(
    ("version", "cuts", "why_not"),
    [
        (3, OLD, None),
        (4, NEW, None),
        (3, NEW, "version 3, and version 4 is being built"),
        (2, OLD, "version 2, and version 3 is counted"),
        (4, OLD, "version 4 of the file of cuts is being built with other cuts (new: method; gone: route)"),
        (4, OTHER, "gone: route. Write `version = 5` at the head"),
    ],
)
def test_while_cuts_are_built_the_file_before_and_the_one_after_are_right_each_with_its_own_cuts(
    version: int, cuts: tuple[Cut, ...], why_not: str | None
) -> None:
    told = refusal(CutsFile(version, cuts), BUILDING, FileVersions(3, 4))
    assert told is None if why_not is None else why_not in str(told)


@pytest.mark.parametrize(
    ("version", "cuts", "why_not"),
    [
        (4, NEW, None),  # broken off and begun again
        (3, OLD, None),  # given up
        (5, OTHER, None),
        (4, OTHER, "is version 4, and version 4 is known. Write `version = 5` at the head of the file."),
        (3, NEW, "is version 3, and version 4 is known"),
        (0, OTHER, "tells no version, and version 4 is known. Write `version = 5`"),
    ],
)
def test_other_cuts_are_built_from_a_file_of_a_higher_version_only(
    version: int, cuts: tuple[Cut, ...], why_not: str | None
) -> None:
    told = refusal_to_build(CutsFile(version, cuts), BUILDING, FileVersions(3, 4))
    assert told is None if why_not is None else why_not in str(told)


def test_tables_of_an_earlier_built_in_list_are_counted_on_by_it_until_the_switch() -> None:
    built_in = CutsFile(2, NEW, earlier=[CutsFile(1, OLD)])
    first = built_in.earlier[0]
    assert standing(built_in, AT_REST) is first
    assert [refusal(first, AT_REST, FileVersions(v)) for v in (0, 1)] == [None, None]
    assert standing(built_in, BUILDING) is built_in
    assert refusal(built_in, BUILDING, FileVersions(1, 2)) is None
    # While an own list is built, the earlier built-in one still stands.
    own = stored(total=COUNTED, route=LEAVING)
    assert standing(built_in, own) is first
    assert refusal(first, own, FileVersions(1, 2)) is None


def test_a_list_of_ones_own_is_not_taken_for_an_earlier_built_in_one() -> None:
    built_in = CutsFile(2, NEW, earlier=[CutsFile(1, OLD)])
    own = stored(total=COUNTED)
    assert standing(built_in, own) is built_in
    assert "new: method" in str(refusal(built_in, own, FileVersions(1)))
    assert "version 1, and version 7 is counted" in str(refusal(standing(built_in, AT_REST), AT_REST, FileVersions(7)))


def test_files_from_before_there_were_versions_go_on_being_counted_until_they_change() -> None:
    assert refusal(CutsFile(0, OLD), AT_REST, FileVersions(0)) is None
    # An upgrade in the middle of a build: neither file tells a version yet.
    assert refusal(CutsFile(0, OLD), BUILDING, FileVersions(0)) is None
    assert refusal(CutsFile(0, NEW), BUILDING, FileVersions(0)) is None
    told = refusal_to_build(CutsFile(0, NEW), AT_REST, FileVersions(0))
    assert (
        told
        == "the file of cuts tells no version. Write `version = 1` at the head of the file. Raise it with every change"
    )
