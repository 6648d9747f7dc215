"""The scripts of deploy/backup/ refuse what would end in a silent loss. The drill runs them on real servers."""

import os
import re
import subprocess
from pathlib import Path

import pytest

MIB = 1024 * 1024
FIRST = "000000010000000A000000FE"
FOLLOWING = ["000000010000000A000000FF", "000000010000000B00000000", "000000010000000B00000001"]
"""With segments of 16 MiB the number before the last eight digits grows after 255."""


class Restore:
    """A base backup, an archive and the script that joins them, with a pg_verifybackup that is content."""

    def __init__(self, folder: Path, scripts: Path) -> None:
        self.folder, self.scripts = folder, scripts
        self.base, self.archive, self.data = folder / "base", folder / "wal", folder / "data"
        (self.base / "pg_wal").mkdir(parents=True)
        self.archive.mkdir()
        label = f"START WAL LOCATION: A/FE000028 (file {FIRST})\nCHECKPOINT LOCATION: A/FE000080\n"
        (self.base / "backup_label").write_text(label, encoding="utf-8")
        self.keep(self.base / "pg_wal", FIRST)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "pg_verifybackup").write_text("#!/bin/sh\n", encoding="utf-8")
        (programs / "pg_verifybackup").chmod(0o755)

    def keep(self, folder: Path, *names: str, size: int = 16 * MIB) -> None:
        for name in names:
            with (folder / name).open("wb") as file:
                file.truncate(size)

    def run(self, archive: str | Path | None = None) -> subprocess.CompletedProcess[str]:
        words = [self.scripts / "restore.sh", self.base, self.archive if archive is None else archive, self.data]
        path = f"{self.folder / 'programs'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path}
        return subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def fetch(self, name: str) -> int:
        """What PostgreSQL's restore_command ends with; PostgreSQL runs it in its data folder."""
        told = (self.data / "postgresql.auto.conf").read_text(encoding="utf-8")
        [command] = re.findall(r"^restore_command = '(.*)'$", told, re.MULTILINE)
        done = command.replace("%f", name).replace("%p", "fetched")
        return subprocess.run(["sh", "-c", done], cwd=self.data, capture_output=True, check=False).returncode


@pytest.fixture
def restore(tmp_path: Path, repository: Path) -> Restore:
    return Restore(tmp_path, repository / "deploy/backup")


def test_an_archive_that_goes_on_after_the_backup_is_taken_also_by_a_relative_path(restore: Restore) -> None:
    restore.keep(restore.archive, "000000010000000100000003", FIRST, *FOLLOWING)
    restore.keep(restore.archive, "000000020000000B00000001", "000000020000000B00000002")
    (restore.archive / "00000002.history").touch()
    done = restore.run("wal")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the archive goes to 000000020000000B00000002" in done.stdout
    assert (restore.data / "recovery.signal").exists()
    assert (restore.fetch(FOLLOWING[0]), restore.fetch("000000020000000B00000003")) == (0, 1)
    assert (restore.data / "fetched").stat().st_size == 16 * MIB


def test_a_recovery_whose_archive_goes_away_or_cannot_be_read_stops_and_does_not_end(restore: Restore) -> None:
    restore.keep(restore.archive, *FOLLOWING)
    assert restore.run().returncode == 0
    (restore.archive / FOLLOWING[0]).unlink()
    (restore.archive / FOLLOWING[0]).mkdir()  # cp cannot read it, also for root
    assert restore.fetch(FOLLOWING[0]) > 125
    restore.archive.rename(restore.folder / "elsewhere")
    assert restore.fetch(FOLLOWING[1]) > 125


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ([], "holds nothing of 000000010000000A000000FE or later: is it the archive of this server?"),
        (["000000010000000A000000FD"], "holds nothing of"),
        (FOLLOWING[1:], "there is a gap before 000000010000000B00000000"),
        ([FOLLOWING[0], FOLLOWING[2]], "there is a gap before 000000010000000B00000001"),
        ([*FOLLOWING, "000000020000000B00000003"], "there is a gap before 000000020000000B00000003"),
    ],
    ids=["empty", "older", "begins later", "lacks one", "lacks one of another timeline"],
)
def test_an_archive_that_would_end_too_early_is_refused(restore: Restore, kept: list[str], told: str) -> None:
    restore.keep(restore.archive, *kept)
    done = restore.run()
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    assert not restore.data.exists()


def test_a_part_of_a_segment_a_folder_that_is_not_there_and_a_name_for_shells_are_refused(restore: Restore) -> None:
    assert "is no folder that can be read" in restore.run("wall").stderr
    restore.keep(restore.archive, *FOLLOWING)
    odd = restore.archive.rename(restore.folder / "wal'$(id)")
    assert "without special characters" in restore.run(odd).stderr
    odd.rename(restore.archive)
    restore.keep(restore.archive, "000000010000000B00000002", size=3 * MIB)
    assert "000000010000000B00000002 is not whole" in restore.run().stderr
    assert not restore.data.exists()


def test_a_file_is_archived_whole_or_not_at_all_and_again_after_a_crash(tmp_path: Path, repository: Path) -> None:
    segment, kept = tmp_path / "segment", tmp_path / "wal" / FIRST
    segment.write_bytes(b"log" * 1000)
    kept.parent.mkdir()

    def archive(file: Path) -> int:
        words = [repository / "deploy/backup/archive.sh", file, kept]
        return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode

    kept.with_name(f"{FIRST}.part").write_bytes(b"log")  # its machine died meanwhile
    assert archive(tmp_path / "none") != 0
    assert not kept.exists()
    assert archive(segment) == 0
    assert kept.read_bytes() == segment.read_bytes()
    assert [file.name for file in kept.parent.iterdir()] == [FIRST]
    assert archive(segment) == 0, "PostgreSQL asks again where it died before it noted that"
    segment.write_bytes(b"another log")
    assert archive(segment) != 0
    assert kept.read_bytes() == b"log" * 1000
