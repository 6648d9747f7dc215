"""A file of real deliveries, replayed: every number that comes out is the one that the file holds.

A plain run replays the first 800 rows of the larger file; `REPLAY_ROWS` is another number, and `make test-replay`
replays all.
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.kvittera import ROOT, kvittera, report_of

SAMPLE = ROOT / "deploy" / "demo" / "sample_deliveries.csv"
LARGER = ROOT.parent / "shared" / "data" / "ecommerce_shipping.csv"
MODES = {"Flight": "same_day", "Ship": "service_point", "Road": "home_day"}
MOST = int(os.environ.get("REPLAY_ROWS", "800"))
CUTS = ("terminal", "method", "terminal.method")

Cells = dict[str, dict[str, list[int]]]
"""By cut and value: answers, very dissatisfied to very satisfied, delivered, asked."""


def group(rows: list[Mapping[str, str]], *, terminal: str, method: str, score: str) -> Cells:
    """The rows of a file by every cut; everybody is asked and answers."""
    found: Cells = {cut: defaultdict(lambda: [0] * 8) for cut in CUTS}
    for row in rows:
        way = MODES.get(row[method], row[method])
        values = {"terminal": row[terminal], "method": way, "terminal.method": f"{row[terminal]} × {way}"}
        for cut, value in values.items():
            for place in (0, int(row[score]), 6, 7):
                found[cut][value][place] += 1
    return found


def read(file: Path, most: int | None = None) -> list[Mapping[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(islice(csv.DictReader(text), most))


def counted(folder: Path, *cuts: str) -> Cells:
    """What `kvittera cells` tells, in the same form."""
    found: Cells = {}
    for cut in cuts:
        done = kvittera(folder, "cells", "--cut", cut, "--window", "all", "--format", "json")
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        found[cut] = {r["value"]: [r["answers"], *r["scores"], r["delivered"], r["asked"]] for r in rows}
    return found


def test_the_sample_file_is_counted_number_for_number_and_adds_when_replayed_again(tmp_path: Path) -> None:
    """A delivery is asked about once for ever, so the second replay is of new deliveries."""
    rows = read(SAMPLE)
    columns = {"terminal": "terminal", "method": "method", "score": "face"}

    report = report_of(tmp_path, "--replay", str(SAMPLE))
    once = counted(tmp_path, "terminal.method")  # the other cuts are asked for once, at the end
    again = report_of(tmp_path, "--replay", str(SAMPLE), "--deliveries", "50")
    twice = counted(tmp_path, *CUTS)

    assert report["published"] == report["delivered"] == report["asked"] == report["counted"] == len(rows) == 600
    assert (again["published"], again["delivered"], again["counted"]) == (50, 650, 650)
    assert once["terminal.method"] == group(rows, **columns)["terminal.method"]
    assert twice == group(rows + rows[:50], **columns)


@pytest.mark.skipif(not LARGER.exists(), reason="the larger public file is not beside this checkout")
def test_a_larger_public_file_is_counted_number_for_number(tmp_path: Path) -> None:
    rows = read(LARGER, MOST)
    mapping = ROOT / "deploy" / "demo" / "ecommerce_shipping.toml"

    words = ("--replay", str(LARGER), "--mapping", str(mapping), "--deliveries", str(len(rows)))
    report = report_of(tmp_path, *words, timeout=150 + len(rows) / 10)

    assert report["published"] == report["counted"] == len(rows) == min(MOST, 10_999)
    assert counted(tmp_path, *CUTS) == group(
        rows, terminal="Warehouse_block", method="Mode_of_Shipment", score="Customer_rating"
    )
