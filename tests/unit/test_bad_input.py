"""What cannot be meant is refused before the work, with exit code 2 and without a traceback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli import app
from tests.conftest import SEALING_KEY
from tests.kvittera import Told, kvittera_here

AWAY = "postgresql://127.0.0.1:9/none"


def said(folder: Path, *words: str) -> Told:
    """What a command says of its options; no server is there to be asked."""
    return kvittera_here(folder, *words, KVITTERA_POSTGRES_DSN=AWAY, KVITTERA_SEALING_KEY=SEALING_KEY)


def options(command: Any = None, name: str = "kvittera") -> Iterator[tuple[str, Any]]:
    """Every option of every command, with the words that it is given by."""
    command = command or typer.main.get_command(app)
    for child in getattr(command, "commands", {}).values():
        yield from options(child, f"{name} {child.name}")
    yield from ((f"{name} {p.opts[0]}", p) for p in command.params if hasattr(p, "max"))


def test_every_number_has_a_most_so_that_infinity_is_none() -> None:
    numbers = {name: p for name, p in options() if p.type_descriptor.annotation in {int, float}}
    assert len(numbers) > 25
    seeds = {"kvittera demo --seed", "kvittera alerts backtest --seed"}
    assert {name for name, p in numbers.items() if p.min is None or p.max is None} == seeds


@pytest.mark.parametrize(
    "words",
    [
        ("views", "--days", "1000000"),
        ("views", "--days", "inf"),
        ("capacity", "--deliveries", "inf", "--json"),
        ("capacity", "--peak-day", "nan"),
        ("capacity", "--replicas", "1" + "0" * 400),
        ("audit", "--wait", "inf"),
    ],
)
def test_a_number_that_nothing_can_be_done_with_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = said(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Invalid value for '{words[1]}'" in done.stderr


def test_capacity_is_worked_out_for_the_most_that_may_be_asked_for(tmp_path: Path) -> None:
    most = [f"{p.opts[0]}={p.max}" for name, p in options() if name.startswith("kvittera capacity --") and p.max]
    assert len(most) == 12
    for form in ([], ["--json"]):
        done = said(tmp_path, "capacity", *most, *form)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [("--email", ""), ("--phone", "x"), ("--email", "anna.canary\x07@mail.example")])
def test_an_address_that_is_none_is_refused_without_being_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = said(tmp_path, "erase", *words, "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "an address has 3 to 1024 characters" in done.stderr
    assert "canary" not in done.stderr


DIGEST = ("digest", "--terminal", "Luleå", "--day", "2026-11-20")


@pytest.mark.parametrize("words", [("messages", "preview", "--html"), (*DIGEST, "--to")])
def test_a_file_without_a_place_is_refused_before_the_work(tmp_path: Path, words: tuple[str, ...]) -> None:
    places = {
        "nowhere/a.html": "there is no folder nowhere",
        ".": ". is a folder",
        "a" * 300: "File name too long",
    }
    for file, why in places.items():
        done = said(tmp_path, *words, file)
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr


def test_a_file_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    done = said(tmp_path, "messages", "preview", "--channel", "sms", "--html", "/dev/full")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kvittera: /dev/full cannot be written: No space left on device\n"


def test_a_note_that_nobody_signs_is_refused(tmp_path: Path) -> None:
    done = said(tmp_path, *DIGEST, "--note", "rang the driver")
    assert done.returncode == 2
    assert "give --taken-care-by too" in done.stderr
