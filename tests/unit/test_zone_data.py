"""The version of the time-zone data is that of the data in use, not of a package that nothing reads."""

import zoneinfo
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from services.aggregator.counting.zone_data import version_in, zone_data


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    yield
    zoneinfo.reset_tzpath()


def test_the_machines_own_zones_go_before_those_of_the_package(tmp_path: Path) -> None:
    zones = tmp_path / "zones"
    zones.mkdir()
    (zones / "UTC").write_bytes(b"TZif")
    (zones / "tzdata.zi").write_text("# version 1999z\n# redo posix_only\n", encoding="utf-8")
    zoneinfo.reset_tzpath([str(tmp_path), str(zones)])
    assert zone_data() == "1999z"


def test_without_zones_of_the_machine_those_of_the_package_count(tmp_path: Path) -> None:
    zoneinfo.reset_tzpath([str(tmp_path)])
    # The package of the zones 2026a is 2026.1, that of 2026b 2026.2.
    year, number = version("tzdata").split(".")[:2]
    assert zone_data() == f"{year}{'abcdefghijklmnopqrstuvwxyz'[int(number) - 1]}"


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("tzdata.zi", "# version 2026b\nR d 1916 o - Jun 14 23s 1 S\n", "2026b"),
        ("tzdata.zi", "R d 1916 o - Jun 14 23s 1 S\n", "untold"),
        ("+VERSION", "2025c\n", "2025c"),
        ("zone.tab", "# version 2025c\n", "untold"),
    ],
)
def test_a_folder_that_does_not_say_its_version_is_untold(tmp_path: Path, file: str, text: str, told: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert version_in(tmp_path) == told
