"""An installation asks surveys of its own, from a folder, with the program as it comes."""

from pathlib import Path

import asyncpg

from tests.kvittera import in_the_kept_data, kvittera, report_of

HOME = """\
id = "home.v2"
for = "home"
rated = "carrier"
scale = "smiley5.v1"
follow_ups = ["recommend"]
index = false
comment = true

[reasons]
low = ["on_time", "other"]
middle = []
high = ["courtesy"]
"""


async def surveys_of_homes_and_of_the_rest(connection: asyncpg.Connection) -> tuple[set[str], set[str]]:
    """The surveys that people were asked by: for deliveries at home, and for all others."""
    rows = await connection.fetch(
        "SELECT DISTINCT survey, delivery->>'touchpoint' = 'home' AS home FROM survey.invitation"
    )
    return {r["survey"] for r in rows if r["home"]}, {r["survey"] for r in rows if not r["home"]}


def test_a_delivery_at_home_is_asked_about_by_the_survey_of_the_folder_which_never_changes_then(tmp_path: Path) -> None:
    file = tmp_path / "surveys" / "home.v2.toml"
    file.parent.mkdir()
    file.write_text(HOME, encoding="utf-8")
    report = report_of(tmp_path, "--deliveries", "80", KVITTERA_SURVEYS_FOLDER=str(file.parent))
    homes, others = in_the_kept_data(tmp_path, surveys_of_homes_and_of_the_rest)

    file.write_text(HOME.replace("comment = true", "comment = false"), encoding="utf-8")
    words = ("demo", "--headless", "--until-done", "--deliveries", "1")
    again = kvittera(tmp_path, *words, KVITTERA_SURVEYS_FOLDER=str(file.parent))

    assert report["clean"]
    assert homes == {"home.v2"}
    assert others == {"shop_pickup.v1", "locker.v1"}
    assert (again.returncode, "home.v2 was asked before and says something else now" in again.stderr) == (2, True)


def test_a_folder_with_a_mistake_stops_the_survey_before_it_looks_for_a_server(tmp_path: Path) -> None:
    (tmp_path / "home.v2.toml").write_text(HOME.replace("smiley5", "stars5"), encoding="utf-8")
    done = kvittera(tmp_path, "survey", KVITTERA_SEALING_KEY="0a" * 32, KVITTERA_SURVEYS_FOLDER=str(tmp_path))
    said = "KVITTERA_SURVEYS_FOLDER: home.v2.toml:4: scale must be one of smiley5.v1"
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
