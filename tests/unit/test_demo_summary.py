"""What a run of the demo says at its end."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.chassis.failures import MustStop
from services.cli import app
from services.cli.demo import _summary
from services.demo.report import Report


def test_each_reason_of_not_asking_is_told_with_its_code_and_in_words() -> None:
    run = Report(
        published=9,
        records=10,
        delivered=9,
        asked=5,
        suppressed={"not_sampled": 3, "of_tomorrow": 1},
        pending=0,
        failed=0,
        opened=4,
        answered=3,
        stopped=0,
        counted=3,
        lost=0,
        double=0,
        differing_cells=0,
        seconds=2.5,
        retries={},
    )
    assert _summary(run) == [
        "9 delivered = 5 asked + 4 not asked + 0 waiting + 0 failed",
        "not asked:",
        "  3 not_sampled: Sampled out",
        "  1 of_tomorrow: of_tomorrow",
        "4 opened, 3 answered, 3 counted in 2.5 s",
        "0 lost, 0 double, 0 cells off",
    ]


def test_a_run_until_done_that_is_stopped_is_not_taken_for_proven(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("services.cli.demo._run", lambda _: None)  # what a run gives that was stopped
    report = tmp_path / "r.json"

    stopped = CliRunner().invoke(app, ["demo", "--headless", "--until-done", "--report", str(report)])
    assert isinstance(stopped.exception, MustStop)
    assert str(stopped.exception) == "stopped before all was answered and counted: nothing is proved"
    assert not report.exists()

    assert CliRunner().invoke(app, ["demo", "--headless"]).exit_code == 0
