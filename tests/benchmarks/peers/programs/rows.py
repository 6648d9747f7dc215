"""The tables of the write-behind program, and their rows in the binary form of PostgreSQL's COPY."""

import struct
from collections.abc import Iterable

from tests.benchmarks.peers.programs.job import packed, written

TABLES = """
CREATE TABLE IF NOT EXISTS unit (id int PRIMARY KEY, name bytea NOT NULL);
CREATE TABLE IF NOT EXISTS answer (response uuid PRIMARY KEY, revision int NOT NULL, told smallint NOT NULL);
CREATE TABLE IF NOT EXISTS cell (cell bigint PRIMARY KEY, flush bigint NOT NULL,
  c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int);
CREATE TABLE IF NOT EXISTS progress (partition int PRIMARY KEY, next bigint NOT NULL);
CREATE TABLE IF NOT EXISTS published (id int PRIMARY KEY, upto bigint NOT NULL);
CREATE TEMPORARY TABLE IF NOT EXISTS new_answer (LIKE answer);
CREATE TEMPORARY TABLE IF NOT EXISTS new_cell (LIKE cell);
"""
MERGES = """
INSERT INTO answer SELECT * FROM new_answer
  ON CONFLICT (response) DO UPDATE SET revision = excluded.revision, told = excluded.told;
INSERT INTO cell SELECT * FROM new_cell ON CONFLICT (cell) DO UPDATE SET flush = excluded.flush,
  c1 = excluded.c1, c2 = excluded.c2, c3 = excluded.c3, c4 = excluded.c4, c5 = excluded.c5,
  c6 = excluded.c6, c7 = excluded.c7;
TRUNCATE new_answer, new_cell;
"""
COPY_UNITS = "COPY unit FROM STDIN (FORMAT BINARY)"
COPY_ANSWERS = "COPY new_answer FROM STDIN (FORMAT BINARY)"
COPY_CELLS = "COPY new_cell FROM STDIN (FORMAT BINARY)"
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_UNIT = struct.Struct(">hiii")
_ANSWER = struct.Struct(">hi16siiih")
_CELL = struct.Struct(">hiqiq" + "i4s" * 7)

TOLD = {
    packed(score or None, commented=bool(commented), contested=bool(contested)): score | commented << 3 | contested << 4
    # Scores of contested answers are not counted, and so not kept.
    for contested in (0, 1)
    for commented in (0, 1)
    for score in range(1 if contested else 6)
}
"""What an answer counts, as the number that is kept of it."""
COUNTS = {told: counts for counts, told in TOLD.items()}


def unit_rows(units: Iterable[tuple[int, bytes]]) -> bytes:
    """Rows of units: number and name."""
    return _HEAD + b"".join(_UNIT.pack(2, 4, unit, len(name)) + name for unit, name in units) + _END


def answer_rows(answers: Iterable[tuple[bytes, tuple[int, int]]]) -> bytes:
    """Rows of answers: response, revision and what it counts."""
    rows = (_ANSWER.pack(3, 16, response, 4, revision, 2, TOLD[counts]) for response, (revision, counts) in answers)
    return _HEAD + b"".join(rows) + _END


def cell_rows(cells: Iterable[tuple[int, int]], flush: int) -> bytes:
    """Rows of cells: number, the flush that wrote it, seven counters."""
    pack, rows = _CELL.pack, [_HEAD]
    for cell, counts in cells:
        c = written(counts)
        rows.append(
            pack(
                9, 8, cell, 8, flush, 4, c[:4], 4, c[4:8], 4, c[8:12], 4, c[12:16], 4, c[16:20], 4, c[20:24], 4, c[24:]
            )
        )
    rows.append(_END)
    return b"".join(rows)
