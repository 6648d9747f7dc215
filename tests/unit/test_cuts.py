"""The cuts that are counted."""

from pathlib import Path

import pytest

from schemas.satisfaction import Window
from services.aggregator.counting.cuts import STANDARD, Cut, cut_named, load_cuts, read_cuts, wave_cut, wave_days
from services.chassis.failures import MustStop


def cuts_file(folder: Path, text: str) -> Path:
    file = folder / "cuts.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_the_built_in_cuts_are_counted() -> None:
    assert [c.name for c in load_cuts(None)] == [
        "total",
        "country",
        "terminal",
        "route",
        "driver",
        "service_point",
        "merchant",
        "method",
        "late",
        "disrupted",
        "reason",
        "wave",
        "terminal.method",
        "terminal.reason",
        "terminal.wave",
        "merchant.method",
        "series",
    ]


def test_only_the_whole_is_counted_by_minute_and_single_drivers_by_day_and_longer() -> None:
    windows = {c.name: c.windows for c in load_cuts(None)}
    assert windows.pop("total") == (Window.MINUTE, *STANDARD)
    assert windows.pop("wave") == (Window.MONTH, Window.ALL)
    for name in ("driver", "terminal.reason", "terminal.wave"):
        assert windows.pop(name) == (Window.DAY, Window.WEEK, Window.MONTH, Window.ALL)
    assert set(windows.values()) == {(Window.HOUR, Window.DAY, Window.WEEK, Window.MONTH, Window.ALL)}


def test_the_built_in_cuts_know_the_list_of_every_version_before() -> None:
    file = read_cuts(None)
    assert [earlier.version for earlier in file.earlier] == [*range(1, file.version)]
    [first] = file.earlier
    names = "total country terminal route driver service_point merchant method late disrupted reason"
    assert [c.name for c in first.cuts] == [*names.split(), "terminal.method", "merchant.method", "series"]
    assert {c.windows for c in first.cuts if c.name != "total"} == {STANDARD}


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("wave", 3),
        ("wave_1", 1),
        ("wave_60", 60),
        ("wave_0", None),
        ("wave_61", None),
        ("wave_05", None),
        ("waves", None),
        ("terminal.wave", None),
    ],
)
def test_a_wave_tells_after_how_many_days_answers_are_late(name: str, days: int | None) -> None:
    assert wave_days(name) == days


def test_the_cut_of_waves_beside_another_is_found_whatever_its_days() -> None:
    counted = ["total", "wave", "terminal.wave_5", "terminal.wave", "merchant.wave", "terminal.wave.language"]
    assert (wave_cut(counted), wave_cut(counted, "terminal"), wave_cut(counted, "route")) == (
        "wave",
        "terminal.wave_5",
        None,
    )


def test_a_file_names_windows_for_all_cuts_and_for_single_ones(tmp_path: Path) -> None:
    file = cuts_file(
        tmp_path,
        'windows = ["all", "day"]\ncuts = ["terminal", "route"]\n[windows_of]\nroute = ["month"]\ntotal = ["minute"]\n',
    )
    assert load_cuts(file) == (
        Cut("total", (), (Window.MINUTE,)),
        Cut("terminal", ("terminal",), (Window.DAY, Window.ALL)),
        Cut("route", ("route",), (Window.MONTH,)),
        Cut("series", ("series",)),
    )


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("total", Cut("total", ())),
        ("terminal", Cut("terminal", ("terminal",))),
        ("merchant", Cut("merchant", ("merchant_id",))),
        ("merchant.method", Cut("merchant.method", ("merchant_id", "method"))),
        ("merchant, method", Cut("merchant.method", ("merchant_id", "method"))),
        ("terminal.series", Cut("terminal.series", ("terminal", "series"))),
        ("chosen", Cut("chosen", ("method_chosen_by_recipient",))),
    ],
)
def test_a_cut_is_named_by_properties_of_the_delivery(name: str, cut: Cut) -> None:
    assert cut_named(name) == cut


@pytest.mark.parametrize("name", ["", "person", "terminal.", "total.terminal", "delivery_id", "terminal; drop table"])
def test_what_deliveries_do_not_have_cannot_be_counted_by(name: str) -> None:
    with pytest.raises(MustStop, match="deliveries have no"):
        cut_named(name)


def test_a_file_replaces_the_built_in_cuts_but_the_total_and_the_series_are_always_counted(tmp_path: Path) -> None:
    file = cuts_file(tmp_path, 'cuts = ["terminal.method", "total", "late"]')
    assert [c.name for c in load_cuts(file)] == ["total", "terminal.method", "late", "series"]
    assert load_cuts(cuts_file(tmp_path, "cuts = []")) == (Cut("total", ()), Cut("series", ("series",)))


def test_a_file_tells_its_version_and_one_that_tells_none_is_as_before_there_were_versions(tmp_path: Path) -> None:
    assert read_cuts(None).version == 2
    assert read_cuts(cuts_file(tmp_path, "version = 12\ncuts = []")).version == 12
    assert read_cuts(cuts_file(tmp_path, "cuts = []")).version == 0


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("cuts = []\nversion = 0", "line 2: version must be a whole number from 1 on"),
        ("version = -1\ncuts = []", "line 1: version must"),
        ("version = true\ncuts = []", "line 1: version must"),
        ('version = "2"\ncuts = []', "line 1: version must"),
        ("version = 2147483648\ncuts = []", "line 1: version must"),
        ("cuts = [", "KVITTERA_CUTS_FILE"),
        ("other = []", "line 1: other means nothing"),
        ('cuts = ["terminal",\n "person"]', "line 2: cut 'person'"),
        ('cuts = []\nwindows = ["day", "year"]', "line 2: windows: windows are a list of minute, hour, day, week"),
        ("cuts = []\nwindows = []", "line 2"),
        ('cuts = ["terminal"]\n[windows_of]\nroute = ["day"]', "line 3: windows_of route: it is not among the cuts"),
        ('cuts = ["terminal"]\n[windows_of]\nterminal = "day"', "windows are a list"),
        ('cuts = ["terminal"]\n[windows_of]\nterminal = [1]', "windows are a list|no window"),
        ("windows_of = 1\ncuts = []", "line 1: windows_of must be a table"),
        ('windows = ["day"]', "cuts must be a list of names"),
        ('cuts = "terminal"', "list of names"),
        ("cuts = [1]", "list of names"),
        ('cuts = ["terminal", "terminal"]', "different names"),
        ('cuts = ["merchant.method", "merchant, method"]', "different names"),  # would be counted twice
        (
            'cuts = ["route",\n "terminal.series"]',
            "line 2: terminal.series stands beside a cut that is not among the cuts",
        ),
        ('cuts = ["terminal", "series.terminal"]', "series must be the last property"),
        ('cuts = ["person"]', "deliveries have no person"),
        ('cuts = ["terminal",\n "terminal.wave_61"]', "line 2: .*deliveries have no wave_61"),
    ],
)
def test_a_wrong_file_stops_the_start_and_says_why(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(MustStop, match=wrong):
        load_cuts(cuts_file(tmp_path, text))


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(MustStop, match="KVITTERA_CUTS_FILE"):
        load_cuts(tmp_path / "none.toml")
