"""No cell of the export runs in a spreadsheet, and any CSV reader gets the cells back (security row 14)."""

import csv
import io
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.feedback import CaseTrigger
from schemas.response import ResponseRecorded
from services.chassis.csv_cells import defused
from services.survey.cases.case import Case, opened
from services.survey.cases.export import COLUMNS, as_csv
from services.survey.cases.shown import Listed
from tests.builders import NOON, facts


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("\x00=1", "'=1"),
        ('"=1"', '\'"=1"'),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠SUM", "'＠SUM"),
        ("  =1", "'  =1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("Kom kl 14", "Kom kl 14"),
        ("1+1", "1+1"),
        ("a\x00b", "ab"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_run_is_shown_as_text(cell: str, shown: str) -> None:
    assert defused(cell) == shown


@given(st.text())
def test_no_text_begins_with_what_runs(cell: str) -> None:
    assert defused(cell)[:1] not in set("=+-@＝＋－＠\t\r\n")
    assert "\x00" not in defused(cell)


def listed(comment: str) -> Listed:
    answer = ResponseRecorded(
        response_id="r", revision=1, score=1, answered_at=NOON, recorded_at=NOON, delivery=facts(route="=1+1")
    )
    due = NOON + timedelta(hours=10)
    case: Case = opened(answer, (CaseTrigger.LOW_SCORE,), desk="Årsta", due_at=due, now=NOON, traceparent=None)
    return Listed(case, comment)


def test_the_file_has_a_header_and_lines_that_end_as_the_rules_say() -> None:
    text = as_csv([listed('Två rader:\nså här, med "citat" och komma'), listed("=1")])
    assert text.startswith(",".join(COLUMNS) + "\r\n")
    [header, first, second] = list(csv.reader(io.StringIO(text, newline="")))
    assert header == list(COLUMNS)
    assert first[1:7] == ["Open", "Low score", "Årsta", "'=1+1", "1", 'Två rader:\nså här, med "citat" och komma']
    assert first[7:10] == ["2026-10-13T12:00:00+00:00", "2026-10-13T12:00:00+00:00", "2026-10-13T22:00:00+00:00"]
    assert second[6] == "'=1"
    assert {len(first), len(second)} == {len(COLUMNS)}
