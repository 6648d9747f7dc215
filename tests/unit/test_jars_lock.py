"""Kafka's jars are the locked ones or none: what arrives otherwise is refused with a sentence."""

import errno
import hashlib
from pathlib import Path

import pytest

from services.embedded.errors import EmbeddedError
from services.embedded.jars import Jar, cache_folder, fetch, locked_jars, main, parse_lock

BYTES = b"the bytes of a jar"
JAR = Jar("org.example", "a-jar", "1.0", hashlib.sha256(BYTES).hexdigest())
OTHER = Jar("org.example", "other", "2.1", JAR.sha256)


class FakeNetwork:
    """Answers each download with the next of the given answers; the last one stays."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, jar: Jar, folder: Path) -> Path:
        self.asked.append(jar.filename)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        file = folder / jar.filename
        file.write_bytes(answer)
        return file


def test_a_lock_line_names_group_artifact_version_and_sha256() -> None:
    assert parse_lock(f"# a remark\n\n{JAR.line}\n{OTHER.line}\n") == [JAR, OTHER]


@pytest.mark.parametrize(
    "line",
    [
        "org.example:a-jar:1.0",  # no sha256
        f"org.example:a-jar {JAR.sha256}",  # no version
        f"org.example:a-jar:1.0 {JAR.sha256[:-1]}",  # sha256 cut short
        f"org.example:../a-jar:1.0 {JAR.sha256}",  # would leave the cache
    ],
)
def test_a_wrong_lock_line_is_named_by_its_number(line: str) -> None:
    with pytest.raises(EmbeddedError, match=r"Line 2 of jars.lock .* make kafka-lock"):
        parse_lock(f"{JAR.line}\n{line}\n")


def test_the_lock_of_the_checkout_holds_one_version_of_each_of_46_jars() -> None:
    jars = locked_jars()

    assert len(jars) == 46
    assert len({(jar.group, jar.artifact) for jar in jars}) == 46
    assert {jar.version for jar in jars if jar.artifact in {"kafka_2.13", "kafka-clients"}} == {"4.3.1"}
    assert "log4j-slf4j-impl" in {jar.artifact for jar in jars}  # without it the broker says nothing


def test_the_cache_is_the_users_and_named_after_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(locked_jars()) == tmp_path / "kvittera" / "kafka-4.3.1"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(locked_jars()) == tmp_path / ".cache" / "kvittera" / "kafka-4.3.1"


def test_missing_jars_are_fetched_once_and_progress_is_told(tmp_path: Path) -> None:
    network = FakeNetwork(BYTES)
    told: list[tuple[str, int, int]] = []

    paths = fetch([JAR, OTHER], tmp_path, download=network, progress=lambda *what: told.append(what))
    fetch([JAR, OTHER], tmp_path, download=network)

    assert paths == [tmp_path / "a-jar-1.0.jar", tmp_path / "other-2.1.jar"]
    assert [path.read_bytes() for path in paths] == [BYTES, BYTES]
    assert sorted(network.asked) == ["a-jar-1.0.jar", "other-2.1.jar"]
    assert [(done, total) for _, done, total in told] == [(1, 2), (2, 2)]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a-jar-1.0.jar",
        "other-2.1.jar",
    ]  # nothing half done is left


def test_a_jar_that_broke_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / JAR.filename).write_bytes(BYTES[:5])

    fetch([JAR], tmp_path, download=FakeNetwork(BYTES))

    assert (tmp_path / JAR.filename).read_bytes() == BYTES


def test_a_truncated_download_is_tried_again(tmp_path: Path) -> None:
    fetch([JAR], tmp_path, download=FakeNetwork(BYTES[:5], BYTES))

    assert (tmp_path / JAR.filename).read_bytes() == BYTES


@pytest.mark.parametrize("wrong", [b"other bytes", BYTES[:-1], b""])
def test_a_jar_with_a_wrong_checksum_never_reaches_the_cache(tmp_path: Path, wrong: bytes) -> None:
    with pytest.raises(EmbeddedError, match=r"a-jar-1.0.jar arrived broken .* start again"):
        fetch([JAR], tmp_path, download=FakeNetwork(wrong))

    assert list(tmp_path.iterdir()) == []


def test_without_network_the_sentence_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="connect to the internet for the first start, or copy the folder"):
        fetch([JAR], tmp_path, download=FakeNetwork(ConnectionError("no route")))


def test_without_network_a_full_cache_is_enough(tmp_path: Path) -> None:
    (tmp_path / JAR.filename).write_bytes(BYTES)

    assert fetch([JAR], tmp_path, download=FakeNetwork(ConnectionError("no route"))) == [tmp_path / JAR.filename]


def test_a_full_disk_is_named_as_such(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(EmbeddedError, match=r"No space is left on the disk of .*: free"):
        fetch([JAR], tmp_path, download=FakeNetwork(full))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedError, match="make the folder writable"):
        fetch([JAR], tmp_path / "file" / "cache", download=FakeNetwork(BYTES))


def test_an_unknown_command_prints_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sing"]) == 2
    assert "lock|fetch" in capsys.readouterr().err
