"""A CSV file read as deliveries: what its columns, fixed values and empty cells become."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.delivery import DeliveryFacts, Touchpoint
from services.chassis.failures import MustStop
from services.demo.replay import Replay

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MAPPING = """
id = "parcel"
score = { column = "face" }
[delivery]
carrier = "Nordposten Demo"
country = "SE"
zone = "Europe/Stockholm"
method = { column = "way" }
route = { column = "route" }
touchpoint = { column = "door", values = { "" = "locker", home = "home" } }
attempt = { column = "attempt", values = { 1 = 1, 2 = 2 } }
"""


def facts_of(folder: Path, line: str) -> DeliveryFacts:
    file, mapping = folder / "deliveries.csv", folder / "mapping.toml"
    file.write_text(f"parcel,face,way,route,door,attempt\n{line}\n", encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    [case] = Replay.open(file, mapping).cases(NOON)
    return case.delivery.delivery


def test_an_empty_cell_is_a_fact_that_is_not_known(tmp_path: Path) -> None:
    known = facts_of(tmp_path, "P-1,5,home_day,R-7,home,2")
    assert (known.route, known.touchpoint, known.attempt) == ("R-7", Touchpoint.HOME, 2)
    unknown = facts_of(tmp_path, "P-1,5,home_day,,,")
    assert (unknown.route, unknown.touchpoint, unknown.attempt) == (None, Touchpoint.LOCKER, 1)


@pytest.mark.parametrize(
    ("line", "why"),
    [("P-1,5,,R-7,,1", "line 2.*method"), ("P-1,,home_day,R-7,,1", "the score"), ("P-1,5,home_day,R,odd,1", "'odd'")],
)
def test_an_empty_cell_of_what_must_be_known_and_a_value_that_no_table_has_stop_the_replay(
    tmp_path: Path, line: str, why: str
) -> None:
    with pytest.raises(MustStop, match=why):
        facts_of(tmp_path, line)
