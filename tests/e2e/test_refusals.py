"""What cannot work is refused at once, in one sentence, with exit code 2; no server is started for it."""

import socket
from pathlib import Path

import pytest

from tests.kvittera import kvittera, kvittera_here

MAPPING = """
id = "parcel"
score = { column = "face" }

[delivery]
carrier = "Nordposten Demo"
country = "SE"
zone = "Europe/Stockholm"
terminal = { column = "terminal" }
method = { column = "method", values = { home = "home_day", shop = "service_point" } }
"""
PARCELS = "parcel,terminal,method,face\n1,Malmö,home,4\n2,Umeå,shop,5\n"
REPLAY = ("--headless", "--until-done", "--replay", "parcels.csv")

pytestmark = pytest.mark.timeout(120)


def refusal(folder: Path, *arguments: str, **settings: str) -> str:
    """What the demo says as it refuses."""
    done = kvittera_here(folder, "demo", *arguments, **settings)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    said = done.stderr.strip()
    assert said.startswith("kvittera: "), said
    assert "\n" not in said, "one sentence"
    assert not (folder / ".kvittera" / "kafka").exists(), "refused before anything is started"
    return said.removeprefix("kvittera: ")


@pytest.mark.parametrize(
    ("parcels", "mapping", "sentence"),
    [
        (
            PARCELS,
            MAPPING.replace('"terminal" }', '"depot" }'),
            "parcels.csv has no column depot; it has parcel, terminal, method, face",
        ),
        (
            PARCELS + "3,Umeå,drone,5\n",
            MAPPING,
            "parcels.csv line 4: method='drone' is not in the mapping's values for method",
        ),
        (PARCELS + "3,Umeå,home,6\n", MAPPING, "parcels.csv line 4: the score is '6' instead of 1 to 5"),
        (PARCELS + "1,Umeå,home,5\n", MAPPING, "parcels.csv line 4: parcel is the same as in line 2"),
        (PARCELS + "3,Umeå\n", MAPPING, "parcels.csv line 4 has 2 columns instead of 4"),
        (
            PARCELS,
            MAPPING.replace('"SE"', '"Sweden"'),
            "parcels.csv line 2: delivery.country: String should match pattern '^[A-Z]{2}$'",
        ),
        (
            PARCELS,
            MAPPING.replace("[delivery]", "[parcel]"),
            "the mapping parcels.toml must name id, score and [delivery]; deploy/demo/sample_deliveries.toml is one",
        ),
        (PARCELS, None, "cannot read the mapping parcels.toml: No such file or directory"),
    ],
    ids=[
        "unknown column",
        "unmapped value",
        "no score",
        "same parcel twice",
        "short line",
        "wrong fact",
        "no facts",
        "no mapping",
    ],
)
def test_a_file_that_does_not_fit_its_mapping_is_refused_with_the_line(
    tmp_path: Path, parcels: str, mapping: str | None, sentence: str
) -> None:
    (tmp_path / "parcels.csv").write_text(parcels, encoding="utf-8")
    if mapping is not None:
        (tmp_path / "parcels.toml").write_text(mapping, encoding="utf-8")

    assert refusal(tmp_path, *REPLAY) == sentence


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "parcels.csv").write_bytes(PARCELS.encode("latin-1"))
    (tmp_path / "parcels.toml").write_text(MAPPING, encoding="utf-8")

    assert refusal(tmp_path, *REPLAY).startswith("parcels.csv is not a CSV file in UTF-8: ")


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = kvittera(tmp_path, "demo", "--port", port, timeout=120)

    said = f"kvittera: port {port} is taken: end what uses it, or give another with --port\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert not (tmp_path / ".kvittera" / "kafka").exists()


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    said = refusal(tmp_path, "--headless", KVITTERA_KAFKA_BOOTSTRAPS="127.0.0.1:1", KVITTERA_LOG_LEVEL="info")

    rather = "(perhaps KVITTERA_KAFKA_BOOTSTRAP)"
    assert said == f"unknown setting KVITTERA_KAFKA_BOOTSTRAPS {rather}; docs/settings.md lists all settings"


def test_a_wrong_setting_is_refused_without_its_value(tmp_path: Path) -> None:
    said = refusal(tmp_path, "--headless", KVITTERA_SURVEY_PORT="the canary")

    assert said.startswith("wrong setting KVITTERA_SURVEY_PORT: ")
    assert "canary" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KVITTERA_KAFKA_BOOTSTRAP", "127.0.0.1:1"),
        ("KVITTERA_POSTGRES_DSN", "postgresql://canary@127.0.0.1:1/kvittera"),
    ],
)
def test_one_server_alone_is_refused(tmp_path: Path, name: str, value: str) -> None:
    said = refusal(tmp_path, "--headless", **{name: value})

    assert said == f"{name} is set alone: set KAFKA_BOOTSTRAP and POSTGRES_DSN both, or neither"


def test_a_report_that_has_no_place_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "--headless", "--report", "nowhere/r.json")

    assert said == "the report cannot be written: there is no folder nowhere"


@pytest.mark.parametrize("command", [("cells",), ("audit",), ("topics", "check"), ("dlq", "list", "x")])
def test_a_command_in_an_empty_folder_says_what_to_do_first(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = kvittera_here(tmp_path, *command)

    assert (done.returncode, done.stdout) == (2, "")
    assert "or run `kvittera demo` in this folder first" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_is_away_is_told_in_one_line(tmp_path: Path) -> None:
    away = {"KVITTERA_KAFKA_BOOTSTRAP": "127.0.0.1:9", "KVITTERA_BOOT_PATIENCE_SECONDS": "0"}
    done = kvittera(tmp_path, "topics", "check", timeout=120, **away)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        (
            "kvittera: Kafka cannot be reached by topic administration (KafkaConnectionError);"
            " check KVITTERA_KAFKA_BOOTSTRAP and that it runs"
        )
    ]
