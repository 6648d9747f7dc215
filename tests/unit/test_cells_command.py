"""`kvittera cells` prints what deliveries name, whatever it looks like."""

import pytest

from services.cli.cells import _print_table


def test_a_name_that_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"value": "Torget [/b] Spel", "answers": 1, "scores": [0, 0, 0, 0, 1], "delivered": 2, "asked": 1}
    _print_table([row], "service_point", "all")
    assert "Torget [/b] Spel" in capsys.readouterr().out
