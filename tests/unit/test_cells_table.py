"""What `kvittera cells` prints for people."""

from typing import Any

import pytest

from services.cli.cells import _print_table


def row(value: str, **questions: Any) -> dict[str, Any]:
    counts = {"scores": [1, 0, 0, 1, 2], "answers": 4, "delivered": 9, "asked": 8}
    return {"value": value, "start": None, **counts, **({"questions": questions} if questions else {})}


def test_a_table_tells_further_questions_where_they_were_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    nps = {"answers": 10, "values": {"9": 10}, "figure": {"value": 60.0, "low": 10.4, "high": 100.0}}
    few = {"answers": 4, "values": {"5": 4}, "figure": None}
    _print_table([row("[b]Luleå", recommend=nps, ease=few)], "terminal", "all")
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[-4:] == ["satisfied", "NPS", "index", "ease"]
    assert line.split() == ["[b]Luleå", "4", "1", "0", "0", "1", "2", "9", "8", "75.0", "%", "60.0", "–", "–"]


def test_a_table_without_further_questions_has_no_columns_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    _print_table([row("")], "total", "all")
    assert capsys.readouterr().out.splitlines()[0].split()[-1] == "satisfied"
