"""Numbers in COPY's binary format."""

import numpy as np
import pytest

from services.chassis.bigint_copy import packed, packed_numbers, unpacked

ROW = "0002 00000008 0000000000000001 00000008 fffffffffffffffe"


def test_rows_are_written_as_postgresql_tells() -> None:
    told = packed(np.array([[1, -2]]))
    assert told == b"PGCOPY\n\xff\r\n\0" + bytes(8) + bytes.fromhex(ROW) + b"\xff\xff"


def test_what_was_written_is_read() -> None:
    rows = np.array([[1, -2, 2**63 - 1], [0, 4, -(2**63)]])
    assert unpacked(packed(rows), 3).tolist() == rows.tolist()
    assert unpacked(packed(rows[:0]), 3).shape == (0, 3)


def test_an_array_is_one_row_with_its_dimension_and_type() -> None:
    told = "0001 00000020 00000001 00000000 00000014 00000001 00000001 00000008 fffffffffffffffe"
    assert packed_numbers(np.array([-2])) == b"PGCOPY\n\xff\r\n\0" + bytes(8) + bytes.fromhex(told) + b"\xff\xff"


@pytest.mark.parametrize(
    "told",
    [
        b"",
        packed(np.array([[1, 2]]))[:-2],
        packed(np.array([[1, 2, 3]])),
        packed(np.array([[1, 2]])).replace(b"\0\2", b"\0\3"),
        packed(np.array([[1, 2]])).replace(b"\0\0\0\x08", b"\xff\xff\xff\xff"),
    ],
)
def test_what_is_no_such_rows_is_refused(told: bytes) -> None:
    with pytest.raises(ValueError, match="not rows of bigint"):
        unpacked(told, 2)
