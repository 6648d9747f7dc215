"""How `make test` is spread over its lanes."""

import pytest

from tests.lanes import Lanes, rank_of, scope_of


@pytest.mark.parametrize(
    ("test", "scope"),
    [
        ("tests/browser/test_kiosk.py::test_a[sv]", "demos"),
        ("tests/e2e/test_page.py::test_b", "demos"),
        ("tests/faults/test_restore.py::test_c", "faults"),
        ("tests/unit/test_forms.py::test_d[x::y]", "tests/unit/test_forms.py"),
        ("tests/integration/test_api_any_input.py::test_e[recordTap]",) * 2,
    ],
)
def test_what_shares_a_running_system_shares_a_lane(test: str, scope: str) -> None:
    assert scope_of(test) == scope


def test_the_longest_come_first_and_short_files_fill_the_end() -> None:
    queue = [
        "tests/unit/test_forms.py::test_a",
        "tests/security/test_log_lines.py::test_b",
        "tests/integration/test_status.py::test_c",
        "tests/integration/test_kafka_away.py::test_d",
        "tests/faults/test_restore.py::test_e",
        "tests/browser/test_kiosk.py::test_f",
        "tests/e2e/test_page.py::test_g",
    ]

    assert sorted(queue, key=rank_of) == [queue[5], queue[6], queue[4], queue[3], queue[2], queue[1], queue[0]]


def test_the_lanes_are_given_whole_scopes() -> None:
    lanes = object.__new__(Lanes)
    assert lanes._split_scope("tests/e2e/test_page.py::test_b") == "demos"
    assert lanes._split_scope("tests/unit/test_forms.py::test_d") == "tests/unit/test_forms.py"


def test_the_fault_tests_that_share_a_system_come_in_an_order_that_each_can_bear() -> None:
    names = ("servers_away", "killed_services", "strange_records", "restore", "paused_services")
    queue = sorted((f"tests/faults/test_{name}.py::test_a" for name in names), key=rank_of)

    assert [test.partition(".")[0].removeprefix("tests/faults/test_") for test in queue] == [
        "restore",
        "strange_records",
        "killed_services",
        "paused_services",
        "servers_away",
    ]
