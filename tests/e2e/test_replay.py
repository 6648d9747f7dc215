"""A file of real deliveries, replayed: every number that comes out is the one that the file holds.

A plain run replays the first 800 rows of the larger file; `REPLAY_ROWS` is another number, and `make test-replay`
replays all.
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from schemas.satisfaction import Window
from services.aggregator.cells.rows import Cells
from services.aggregator.counting.cuts import load_cuts
from tests.kvittera import ROOT, in_the_kept_data, kvittera, report_of

SAMPLE = ROOT / "deploy" / "demo" / "sample_deliveries.csv"
LARGER = ROOT.parent / "shared" / "data" / "ecommerce_shipping.csv"
MAPPING = ROOT / "deploy" / "demo" / "ecommerce_shipping.toml"
MODES = {"Flight": "same_day", "Ship": "service_point", "Road": "home_day"}
MOST = int(os.environ.get("REPLAY_ROWS", "800"))
CUTS = ("terminal", "method", "terminal.method")

ZONES = {"SE": "Europe/Stockholm", "FI": "Europe/Helsinki"}
WINDOWS = ("minute", "hour", "day", "week", "month", "all")
MORE = """
country = { column = "country" }
zone = { column = "zone" }
occurred_at = { column = "at" }
attempt = { column = "attempt", values = { 1 = 1, 2 = 2 } }
merchant_id = { column = "Product_importance" }
route = { column = "Prior_purchases" }
driver = { column = "Customer_care_calls" }
service_point = { column = "Prior_purchases" }
postcode_prefix = { column = "Cost_of_the_Product" }
method_chosen_by_recipient = { column = "Gender", values = { F = true, M = false } }
"""
"""What a row has besides, as lines of the mapping."""


def way(row: Mapping[str, str]) -> str:
    return MODES[row["Mode_of_Shipment"]]


VALUES: Mapping[str, Callable[[Mapping[str, str]], str | None]] = {
    "total": lambda _: "",
    "country": lambda row: row["country"],
    "terminal": lambda row: row["Warehouse_block"],
    "route": lambda row: row["Prior_purchases"],
    # Others may have held what came at a second attempt.
    "driver": lambda row: row["Customer_care_calls"] if row["attempt"] == "1" else None,
    "service_point": lambda row: row["Prior_purchases"],
    "merchant": lambda row: row["Product_importance"],
    "method": way,
    "late": lambda row: "true" if row["Reached.on.Time_Y.N"] == "1" else "false",
    "disrupted": lambda _: "false",
    "terminal.method": lambda row: f"{row['Warehouse_block']} × {way(row)}",
    "merchant.method": lambda row: f"{row['Product_importance']} × {way(row)}",
    "carrier": lambda _: "Nordposten Demo",
    "postcode_prefix": lambda row: row["Cost_of_the_Product"],
    "attempt": lambda row: row["attempt"],
    "touchpoint": lambda _: "home",
    "chosen": lambda row: "true" if row["Gender"] == "F" else "false",
    "country.merchant.chosen": lambda row: (
        f"{row['country']} × {row['Product_importance']} × {'true' if row['Gender'] == 'F' else 'false'}"
    ),
}
"""Every cut by what a row says: all built-in ones that it says anything of, and some others."""

OfCuts = dict[str, dict[str, list[int]]]
"""By cut and value: answers, very dissatisfied to very satisfied, delivered, asked."""
EveryCell = dict[tuple[str, str, str, str | None], list[int]]
"""By cut, window, value and start: very dissatisfied to very satisfied, delivered, asked, opened."""


def group(rows: list[Mapping[str, str]], *, terminal: str, method: str, score: str) -> OfCuts:
    """The rows of a file by every cut; everybody is asked and answers."""
    found: OfCuts = {cut: defaultdict(lambda: [0] * 8) for cut in CUTS}
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
    twice = counted(tmp_path, *CUTS)

    assert report["published"] == report["delivered"] == report["asked"] == report["counted"] == len(rows) == 600
    assert (again["published"], again["delivered"], again["counted"]) == (50, 650, 650)
    assert once["terminal.method"] == group(rows, **columns)["terminal.method"]
    assert twice == group(rows + rows[:50], **columns)


@pytest.mark.skipif(not LARGER.exists(), reason="the larger public file is not beside this checkout")
def test_a_larger_public_file_is_counted_number_for_number_in_every_cut_and_window(tmp_path: Path) -> None:
    """The file knows no time and no place, so each row gets them; everybody is asked and answers."""
    rows = list(dated(read(LARGER, MOST), datetime.now(UTC)))
    file, mapping, cuts = (tmp_path / name for name in ("dated.csv", "dated.toml", "cuts.toml"))
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    mapping.write_text(mapping_of_dated(), encoding="utf-8")
    cuts.write_text(
        f"cuts = {json.dumps([*VALUES])}\n[windows_of]\n"
        f"total = {json.dumps([*WINDOWS])}\nterminal = {json.dumps([*WINDOWS])}\n",
        encoding="utf-8",
    )

    words = ("--replay", str(file), "--mapping", str(mapping), "--deliveries", str(len(rows)))
    told = {"KVITTERA_CUTS_FILE": str(cuts), "KVITTERA_MAX_DELIVERY_AGE_HOURS": "2400"}
    told["KVITTERA_MINUTE_KEEP_HOURS"] = "2400"
    report = report_of(tmp_path, *words, timeout=150 + len(rows) / 10, **told)

    assert report["published"] == report["counted"] == len(rows) == min(MOST, 10_999)
    assert {c.name for c in load_cuts(None)} <= {*VALUES, "series", "reason"}, "a built-in cut is left out"
    found = in_the_kept_data(tmp_path, every_cell)
    expected = grouped(rows)
    assert found == expected
    assert len({start for _, window, _, start in expected if window == "month"}) > 2


def dated(rows: Sequence[Mapping[str, str]], now: datetime) -> Iterator[dict[str, str]]:
    """Rows with a moment in the ninety days before, in one of two zones, and at the first or second attempt."""
    for i, row in enumerate(rows):
        at = now - timedelta(minutes=90 + i * 977 % (90 * 24 * 60))
        country = "FI" if i % 3 else "SE"
        yield {**row, "at": at.isoformat(), "country": country, "zone": ZONES[country], "attempt": str(1 + i % 5 // 4)}


def mapping_of_dated() -> str:
    """The mapping that comes with the demo, and what the rows have besides."""
    told = MAPPING.read_text(encoding="utf-8")
    for fixed in ('country = "SE"', 'zone = "Europe/Stockholm"'):
        assert fixed in told
        told = told.replace(fixed, "")
    return told.replace("[delivery]", f"[delivery]\n{MORE}")


def grouped(rows: Sequence[Mapping[str, str]]) -> EveryCell:
    """The rows by every cut and window."""
    found: EveryCell = defaultdict(lambda: [0] * 8)
    for row in rows:
        starts = starts_of(datetime.fromisoformat(row["at"]), row["zone"])
        for cut, value_of in VALUES.items():
            value = value_of(row)
            for window, start in starts.items():
                if value is not None and (window != "minute" or cut in {"total", "terminal"}):
                    for place in (int(row["Customer_rating"]) - 1, 5, 6, 7):
                        found[cut, window, value, start][place] += 1
    return dict(found)


def starts_of(at: datetime, zone: str) -> dict[str, str | None]:
    """Where each window that holds a moment begins, on the clock of the zone."""
    local = at.astimezone(ZoneInfo(zone))
    return {
        "minute": f"{local:%Y-%m-%dT%H:%M}",
        "hour": f"{local:%Y-%m-%dT%H:00}",
        "day": f"{local:%Y-%m-%d}",
        "week": (local.date() - timedelta(days=local.weekday())).isoformat(),
        "month": f"{local:%Y-%m}",
        "all": None,
    }


async def every_cell(connection: asyncpg.Connection) -> EveryCell:
    """Every cell as the API tells it: scores, delivered, asked and opened; all other counters are nought."""
    await connection.execute("SET search_path TO aggregator")
    found: EveryCell = {}
    for cut in await Cells().cuts(connection):
        for window in Window:
            for c in await Cells().of_cut(connection, cut, window, limit=1_000_000):
                found[cut, window.value, c["value"], c["start"]] = [
                    *c["scores"],
                    *(c[name] for name in ("delivered", "asked", "opened")),
                ]
                rest = ("suppressed", "pending", "failed", "reached", "commented", "contested")
                assert [c[name] for name in rest] == [0] * 6
    return found
