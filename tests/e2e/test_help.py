"""Every command says what it does."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from services.cli import app
from tests.kvittera import kvittera


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command by its words, groups too."""
    for name, inner in getattr(command, "commands", {}).items():
        yield (*path, name)
        yield from commands(inner, *path, name)


ALL = sorted(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_each_commands_help_says_what_it_does(command: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})

    assert told.exit_code == 0
    usage, sentence = [line.strip() for line in told.stdout.splitlines() if line.strip()][:2]
    assert usage.startswith(f"Usage: kvittera {' '.join(command)}")
    assert sentence.endswith((".", ":")) or len(sentence) > 60


def test_the_programs_help_leads_to_the_demo_and_names_every_command(tmp_path: Path) -> None:
    told = kvittera(tmp_path, "--help", timeout=120)

    assert (told.returncode, told.stderr) == (0, "")
    assert "Start here: kvittera demo" in told.stdout
    words = told.stdout.split()
    assert [command[0] for command in ALL if command[0] not in words] == []


def test_a_mistyped_command_is_refused_without_a_traceback(tmp_path: Path) -> None:
    told = kvittera(tmp_path, "dmeo", timeout=120)

    assert told.returncode == 2
    assert "No such command 'dmeo'" in told.stderr
    assert "Traceback" not in told.stderr


def test_the_program_says_which_version_it_is(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"kvittera {project['version']}\n")
