"""Figures of all systems side by side: medians of the rounds, ratios to ours, as a table. Pure."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from tests.benchmarks.peers.running import Figures

OURS = "kvittera"
_HEAD = (
    "system",
    "CPU µs/event",
    "× ours",
    "warm",
    "× ours",
    "wall µs/event",
    "× ours",
    "warm",
    "× ours",
    "cells sent/event",
    "memory MiB",
    "events",
    "load",
)


def median(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over the runs of one system."""
    numbers = [f.name for f in fields(Figures) if f.name not in {"system", "events"}]
    return replace(runs[0], **{n: statistics.median(getattr(run, n) for run in runs) for n in numbers})


def read_figures(file: Path) -> dict[str, list[Figures]]:
    """The runs of each system from the JSON that a comparison has written."""
    found: dict[str, list[Figures]] = {}
    for run in json.loads(file.read_text())["runs"]:
        found.setdefault(run["system"], []).append(Figures(**run))
    return found


def described(found: Mapping[str, Sequence[Figures]]) -> str:
    """What stands under a picture: how many events, and the load before the runs."""
    runs = [run for of in found.values() for run in of]
    loads = [run.load for run in runs]
    most, least = max(run.events for run in runs), min(run.events for run in runs)
    few = f"{least:,} (Quix, Faust) to " if least < most else ""
    return f"{few}{most:,} events, 30 counters each, load {min(loads):.1f} to {max(loads):.1f}"


def table(found: Mapping[str, Sequence[Figures]], titles: Mapping[str, str]) -> str:
    """The systems that counted right as a table in Markdown; `warm` is the second half of the events."""
    medians = [median(runs) for runs in found.values() if runs]
    ours = next((m for m in medians if m.system == OURS), None)
    lines = [_HEAD, ("---",) * len(_HEAD), *[_row(m, ours, found[m.system], titles[m.system]) for m in medians]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(of: Figures, ours: Figures | None, runs: Sequence[Figures], title: str) -> tuple[str, ...]:
    def times(name: str) -> str:
        value, base = getattr(of, name), getattr(ours, name, 0)
        return f"{value / base:.2f}" if value and base else ""

    def spread(name: str) -> str:
        values = [getattr(run, name) for run in runs]
        width = f" ({min(values):,.0f}–{max(values):,.0f})" if len(values) > 1 else ""
        return f"{getattr(of, name):,.1f}{width}"

    database = f" + {of.postgres_mib:,.0f} PostgreSQL" if of.postgres_mib else ""
    return (
        title,
        spread("cpu_us"),
        times("cpu_us"),
        _known(of.cpu_us_second_half),
        times("cpu_us_second_half"),
        spread("wall_us"),
        times("wall_us"),
        _known(of.wall_us_second_half),
        times("wall_us_second_half"),
        f"{of.cells_sent:.2f}",
        f"{of.memory_mib:,.0f}{database}",
        f"{of.events:,}",
        "–".join(dict.fromkeys(f"{load:.0f}" for load in (min(r.load for r in runs), max(r.load for r in runs)))),
    )


def _known(micros: float) -> str:
    # A short run may pass its middle and its end between two looks.
    return f"{micros:,.1f}" if micros else ""


def line(of: Figures, title: str) -> str:
    """One run in one line."""
    parts = f", of it PostgreSQL {of.postgres_us:.1f}" if of.postgres_us else ""
    return (
        f"  {title}, exact: CPU {of.cpu_us:.1f} us an event{parts}, second half {_known(of.cpu_us_second_half) or '-'};"
        f" wall {of.wall_us:.1f}, second half {_known(of.wall_us_second_half) or '-'}; broker {of.broker_us:.1f};"
        f" {of.cells_sent:.2f} cells sent an event; {of.memory_mib:,.0f} MiB; load {of.load:.1f}"
    )
