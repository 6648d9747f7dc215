"""What `kvittera cells` prints for people."""

import asyncio
from typing import Any, Literal

import pytest

from services.cli.cells import _print_table, cells


def row(value: str, start: str | None = None, **questions: Any) -> dict[str, Any]:
    counts = {"scores": [1, 0, 0, 1, 2], "answers": 4, "delivered": 9, "asked": 8}
    return {"value": value, "start": start, **counts, **({"questions": questions} if questions else {})}


def test_a_table_tells_further_questions_where_they_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    nps = {"answers": 10, "values": {"9": 10}, "figure": {"value": 60.0, "low": 10.4, "high": 100.0}}
    few = {"answers": 4, "values": {"5": 4}, "figure": None}
    _print_table([row("[b]Luleå", recommend=nps, ease=few)], "terminal", "all")
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[-4:] == ["satisfied", "NPS", "index", "ease"]
    assert line.split() == ["[b]Luleå", "4", "1", "0", "0", "1", "2", "9", "8", "75.0", "%", "60.0", "–", "–"]


def test_a_table_without_further_questions_has_no_columns_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    _print_table([row("")], "total", "all")
    assert capsys.readouterr().out.splitlines()[0].split()[-1] == "satisfied"


def test_each_row_of_a_table_is_a_whole_line_however_narrow_the_screen_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _print_table([row("Malmö-Toftanäs|home_day", f"2026-11-{day}") for day in (22, 23)], "terminal.method", "day")
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["Malmö-Toftanäs|home_day", "2026-11-22", "4"],
        ["Malmö-Toftanäs|home_day", "2026-11-23", "4"],
    ]


@pytest.mark.parametrize("form", ["table", "json"])
def test_who_gets_fewer_rows_than_there_are_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: Literal["table", "json"]
) -> None:
    async def three(
        _c: object, _cut: str, _window: str, _value: str | None, limit: int, **_: bool
    ) -> list[dict[str, Any]]:
        return [row(name) for name in ("Kalmar", "Luleå", "Malmö")][:limit]

    monkeypatch.setattr("services.cli.cells._read", three)
    monkeypatch.setattr("services.cli.cells.asked", lambda _, question: asyncio.run(question(None, None)))
    cells("terminal", "all", None, 2, questions=False, form=form)
    told = capsys.readouterr()
    assert told.err == "there are more rows than 2: raise --limit, or ask for one --value\n"
    assert "Luleå" in told.out
    assert "Malmö" not in told.out

    cells("terminal", "all", None, 3, questions=False, form=form)
    told = capsys.readouterr()
    assert told.err == ""
    assert "Malmö" in told.out
