"""A file of real deliveries, replayed: every number that comes out is the one that the file holds.

A plain run replays the first 400 rows of the larger file; `REPLAY_ROWS` is another number, and `make test-replay`
replays all.
"""

import csv
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from schemas.satisfaction import Window
from services.aggregator.cells.rows import Cells
from services.aggregator.counting.cuts import PROPERTIES as KNOWN
from services.aggregator.counting.cuts import SERIES, cut_named, load_cuts
from services.demo.place import POLICIES
from tests.e2e.replayed_rows import (
    CUTS,
    MAPPING,
    MODES,
    POLICY,
    PROPERTIES,
    CellsOfCut,
    cuts_file,
    dated,
    grouped,
    reason,
)
from tests.kvittera import ROOT, in_the_kept_data, kvittera, report_of

SAMPLE = ROOT / "deploy" / "demo" / "sample_deliveries.csv"
LARGER = ROOT.parent / "shared" / "data" / "ecommerce_shipping.csv"
DEMO_MAPPING = ROOT / "deploy" / "demo" / "ecommerce_shipping.toml"
MOST = int(os.environ.get("REPLAY_ROWS", "400"))
_MANY = 1000
CUTS_OF_SAMPLE = ("terminal", "method", "terminal.method")

OfCuts = dict[str, dict[str, list[int]]]
"""By cut and value: answers, very dissatisfied to very satisfied, delivered, asked."""


def group(rows: list[Mapping[str, str]], *, terminal: str, method: str, score: str) -> OfCuts:
    """The rows of a file by every cut; everybody is asked and answers."""
    found: OfCuts = {cut: defaultdict(lambda: [0] * 8) for cut in CUTS_OF_SAMPLE}
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


def counted(folder: Path, *cuts: str) -> OfCuts:
    """What `kvittera cells` tells, in the same form."""
    found: OfCuts = {}
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
    twice = counted(tmp_path, *CUTS_OF_SAMPLE)

    assert report["published"] == report["delivered"] == report["asked"] == report["counted"] == len(rows) == 600
    assert (again["published"], again["delivered"], again["counted"]) == (50, 650, 650)
    assert once["terminal.method"] == group(rows, **columns)["terminal.method"]
    assert twice == group(rows + rows[:50], **columns)


@pytest.mark.skipif(not LARGER.exists(), reason="the larger public file is not beside this checkout")
def test_a_larger_public_file_is_counted_number_for_number_in_every_cut_and_window(tmp_path: Path) -> None:
    """The file knows no time and no place, so each row gets them; who is asked answers as the file says."""
    rows = [*dated(read(LARGER, MOST), datetime.now(UTC))]
    words, told = prepared(tmp_path, rows)

    report = report_of(tmp_path, *words, timeout=200 + len(rows) / 4, **told)

    why = Counter(filter(None, map(reason, rows)))
    assert (report["published"], report["delivered"]) == (len(rows), len(rows))
    assert report["counted"] == report["asked"] == len(rows) - why.total()
    assert report["suppressed"] == {"exception_open": why["exception_open"], "merchant_denied": why["merchant_denied"]}
    assert len(rows) == min(MOST, 10_999)
    assert in_the_kept_data(tmp_path, lambda connection: compared(connection, rows)) == []


def test_every_property_and_every_built_in_cut_is_replayed() -> None:
    named = {cut_named(name).properties[0] for name in PROPERTIES}
    assert {*KNOWN} - {SERIES} <= named
    assert {cut.name for cut in load_cuts(None)} <= {*CUTS, SERIES}


def prepared(folder: Path, rows: Sequence[Mapping[str, str]]) -> tuple[Sequence[str], dict[str, str]]:
    """The file, its mapping, cuts and policies in a folder: the words of the command, and its settings."""
    file, mapping, cuts, policies = (folder / name for name in ("dated.csv", "dated.toml", "cuts.toml", "policies"))
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    mapping.write_text(mapping_of_dated(), encoding="utf-8")
    cuts.write_text(cuts_file(), encoding="utf-8")
    shutil.copytree(POLICIES, policies)
    (policies / "merchants.v1.toml").write_text(POLICY, encoding="utf-8")
    told = {"CUTS_FILE": str(cuts), "POLICIES_FOLDER": str(policies), "MAX_DELIVERY_AGE_HOURS": "2400"}
    told["MINUTE_KEEP_HOURS"] = "2400"
    words = ["--replay", str(file), "--mapping", str(mapping), "--deliveries", str(len(rows))]
    # So many cuts are more than counting does in passing; the audit at the end waits a minute for it.
    words += ["--rate", "80"] if len(rows) > _MANY else []
    return words, {f"KVITTERA_{name}": text for name, text in told.items()}


def mapping_of_dated() -> str:
    """The mapping that comes with the demo, and what the rows have besides."""
    told = DEMO_MAPPING.read_text(encoding="utf-8")
    for fixed in ('country = "SE"', 'zone = "Europe/Stockholm"'):
        assert fixed in told
        told = told.replace(fixed, "")
    return told.replace("[delivery]", f"[delivery]\n{MAPPING}")


async def compared(connection: asyncpg.Connection, rows: Sequence[Mapping[str, str]]) -> list[str]:
    """In which cuts the cells, as the API tells them, are not the rows grouped; each cut has several windows."""
    await connection.execute("SET search_path TO aggregator")
    shown = await Cells().cuts(connection)
    assert sorted(shown) == sorted([*CUTS, SERIES])
    differing = []
    for cut in shown:
        expected = {} if cut == SERIES else grouped(rows, cut)
        found = await cells_of(connection, cut)
        if found != expected:
            other = next(k for k in found.keys() | expected.keys() if found.get(k) != expected.get(k))
            differing.append(f"{cut} {other}: {found.get(other)} counted, {expected.get(other)} in the file")
    return differing


async def cells_of(connection: asyncpg.Connection, cut: str) -> CellsOfCut:
    """Every cell of a cut as the API tells it; what nobody here did is nought."""
    found: CellsOfCut = {}
    for window in Window:
        for c in await Cells().of_cut(connection, cut, window, limit=1_000_000):
            rest = ("pending", "failed", "reached", "commented", "contested")
            assert [c[name] for name in rest] == [0] * 5
            counters = [c[name] for name in ("delivered", "asked", "suppressed", "opened")]
            found[window.value, c["value"], c["start"]] = [*c["scores"], *counters]
    return found
