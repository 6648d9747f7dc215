"""The cuts that are counted."""

from pathlib import Path

import pytest

from services.aggregator.cuts import BUILT_IN, Cut, cut_named, load_cuts
from services.chassis.failures import MustStop


def cuts_file(folder: Path, text: str) -> Path:
    file = folder / "cuts.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_the_built_in_cuts_are_counted() -> None:
    assert load_cuts(None) == BUILT_IN
    assert [c.name for c in BUILT_IN] == [
        "total",
        "country",
        "terminal",
        "route",
        "driver",
        "service_point",
        "merchant",
        "method",
        "terminal.method",
        "merchant.method",
    ]


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("total", Cut("total", ())),
        ("terminal", Cut("terminal", ("terminal",))),
        ("merchant", Cut("merchant", ("merchant_id",))),
        ("merchant.method", Cut("merchant.method", ("merchant_id", "method"))),
        ("merchant, method", Cut("merchant.method", ("merchant_id", "method"))),
        ("chosen", Cut("chosen", ("method_chosen_by_recipient",))),
    ],
)
def test_a_cut_is_named_by_properties_of_the_delivery(name: str, cut: Cut) -> None:
    assert cut_named(name) == cut


@pytest.mark.parametrize("name", ["", "person", "terminal.", "total.terminal", "delivery_id", "terminal; drop table"])
def test_what_deliveries_do_not_have_cannot_be_counted_by(name: str) -> None:
    with pytest.raises(MustStop, match="deliveries have no"):
        cut_named(name)


def test_a_file_replaces_the_built_in_cuts_but_the_total_is_always_counted(tmp_path: Path) -> None:
    file = cuts_file(tmp_path, 'cuts = ["terminal.method", "total", "late"]')
    assert [c.name for c in load_cuts(file)] == ["total", "terminal.method", "late"]
    assert load_cuts(cuts_file(tmp_path, "cuts = []")) == (Cut("total", ()),)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("cuts = [", "KVITTERA_CUTS_FILE"),
        ("other = []", "KVITTERA_CUTS_FILE"),
        ('cuts = "terminal"', "list of names"),
        ("cuts = [1]", "list of names"),
        ('cuts = ["terminal", "terminal"]', "different names"),
        ('cuts = ["merchant.method", "merchant, method"]', "different names"),  # would be counted twice
        ('cuts = ["person"]', "deliveries have no person"),
    ],
)
def test_a_wrong_file_stops_the_start_and_says_why(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(MustStop, match=wrong):
        load_cuts(cuts_file(tmp_path, text))


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(MustStop, match="KVITTERA_CUTS_FILE"):
        load_cuts(tmp_path / "none.toml")
