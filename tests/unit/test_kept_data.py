"""The first server of a version makes its empty data folder, the next ones copy it; a cache is never needed."""

import shutil
from pathlib import Path

import pytest

from services.embedded.errors import EmbeddedError
from services.embedded.postgres_files import make_data

INITDB = """#!/bin/sh
echo initdb >> {calls}
mkdir "$2/base"
echo "$@" | cut -d " " -f 3- > "$2/PG_VERSION"
echo tables > "$2/base/1"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What programs that only act as PostgreSQL's were asked for; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    told = tmp_path / "calls"
    for name, script in (("initdb", INITDB), ("postgres", "#!/bin/sh\necho postgres >> {calls}\n")):
        program = tmp_path / name
        program.write_text(script.format(calls=told))
        program.chmod(0o755)
    return told


def make(folder: Path, name: str) -> Path:
    data = folder / name
    make_data(data, folder, None, folder / f"{name}.log")
    return data


def everything_in(data: Path) -> dict[str, str]:
    return {str(p.relative_to(data)): p.read_text() if p.is_file() else "" for p in data.rglob("*")}


def test_the_second_data_folder_is_a_copy_of_the_first_before_any_server_used_it(tmp_path: Path, calls: Path) -> None:
    first = make(tmp_path, "first")
    made = everything_in(first)
    (first / "base/1").write_text("rows of the first")
    second = make(tmp_path, "second")

    assert calls.read_text().split() == ["initdb", "postgres"]
    assert everything_in(second) == made
    assert set(made) == {"PG_VERSION", "base", "base/1"}
    assert [p.stat().st_mode & 0o777 for p in (second, second / "base", second / "base/1")] == [0o700, 0o700, 0o600]


def test_what_is_written_into_a_copy_stays_out_of_the_next(tmp_path: Path, calls: Path) -> None:
    make(tmp_path, "first")
    (make(tmp_path, "second") / "base/1").write_text("rows of the second")

    assert (make(tmp_path, "third") / "base/1").read_text() == "tables\n"
    assert calls.read_text().split() == ["initdb", "postgres"]


def test_without_a_cache_each_data_folder_is_made(tmp_path: Path, calls: Path) -> None:
    (tmp_path / "cache").write_text("no folder")

    assert everything_in(make(tmp_path, "first")) == everything_in(make(tmp_path, "second"))
    assert calls.read_text().split() == ["initdb", "postgres"] * 2


def test_data_that_was_made_with_other_words_is_not_taken(
    tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "first")
    monkeypatch.setattr("services.embedded.postgres_files._INITDB", ("--encoding=LATIN1",))

    assert "LATIN1" in (make(tmp_path, "second") / "PG_VERSION").read_text()
    assert calls.read_text().split() == ["initdb", "postgres"] * 2


def test_a_copy_that_breaks_off_leaves_no_data_folder_and_a_keeping_that_breaks_off_nothing_kept(
    tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfile", full)
        make(tmp_path, "first")
    assert list((tmp_path / "cache/kvittera").iterdir()) == []
    make(tmp_path, "second")
    monkeypatch.setattr(shutil, "copyfile", full)

    with pytest.raises(OSError, match="No space"):
        make(tmp_path, "third")

    assert calls.read_text().split() == ["initdb", "postgres"] * 2
    assert not [file for file in tmp_path.glob("third*") if file.suffix != ".log"]


def test_a_data_folder_that_could_not_be_made_is_not_kept(tmp_path: Path, calls: Path) -> None:
    (tmp_path / "initdb").write_text("#!/bin/sh\necho FATAL: it does not work; exit 1\n")

    with pytest.raises(EmbeddedError, match="it does not work"):
        make(tmp_path, "first")

    assert not calls.exists()
    assert not (tmp_path / "cache").exists()
