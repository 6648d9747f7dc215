"""`kvittera cells` prints what deliveries name, whatever it looks like, but nothing of single people."""

import pytest

from services.chassis.failures import MustStop
from services.cli.cells import _print_table, cells


def test_a_name_that_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"value": "Torget [/b] Spel", "answers": 1, "scores": [0, 0, 0, 0, 1], "delivered": 2, "asked": 1}
    _print_table([row], "service_point", "all")
    assert "Torget [/b] Spel" in capsys.readouterr().out


@pytest.mark.parametrize("cut", ["driver", "terminal.driver"])
def test_counters_of_single_drivers_are_printed_for_nobody(cut: str) -> None:
    with pytest.raises(MustStop, match=f"cut {cut} names single people"):
        cells(cut)
