"""One fixed moment of the live page, as its event stream tells it, and pages of the aggregator without the system."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from services.aggregator.digests.digest import digest
from services.aggregator.digests.page import page_of
from services.aggregator.figures.figures import counters, figures
from services.aggregator.figures.further import asked_of, waves_of
from services.aggregator.figures.further_words import further_rows
from services.aggregator.figures.interventions import Intervention
from services.aggregator.figures.rows import rows_of
from services.aggregator.figures.unit_figures import unit_of
from services.aggregator.live.page import render_live
from services.aggregator.live.past import small_lines
from services.aggregator.quality.corrections import corrections_of, latest_first
from services.aggregator.quality.months import Change
from services.aggregator.quality.page import render, render_none
from services.aggregator.quality.publisher import Shelf
from services.aggregator.staff import driver as driver_page
from services.aggregator.staff import terminal as terminal_page
from services.aggregator.staff.driver import OwnMonth
from services.aggregator.staff.page import render as render_staff
from services.aggregator.statistics import share_of
from tests.months import COMPLAINTS, PUBLISHER, SEPTEMBER, quality_in, two_years

NOW = datetime(2026, 10, 13, 12, 32, tzinfo=UTC)
TODAY = date(2026, 10, 13)
TERMINALS = {
    "Årsta": (1284, 0.803),
    "Växjö": (612, 0.846),
    "Segeltorp": (1493, 0.866),
    "Jönköping": (884, 0.871),
    "Hallsberg": (1121, 0.876),
    "Göteborg": (1706, 0.881),
    "Malmö": (1358, 0.887),
    "Umeå": (473, 0.899),
    "Sundsvall": (391, 0.913),
    "Visby": (38, 0.95),
    "Gällivare": (9, 0.9),
    "Kiruna": (3, 1.0),
}

ALERTS: Sequence[Mapping[str, Any]] = [
    {"value": "Årsta", "at": NOW.timestamp() - 100, "time": "14:30", "since": "2026-10-12"}
]


def cell(value: str, answers: int, share: float) -> dict[str, Any]:
    satisfied = round(answers * share)
    bad = (answers - satisfied) // 3
    scores = [bad // 2, bad - bad // 2, answers - satisfied - bad, satisfied // 3, satisfied - satisfied // 3]
    asked, delivered = answers * 4, answers * 8
    rest = delivered - asked
    counts = {"suppressed": rest - 300, "pending": 290, "failed": 10, "commented": answers * 3 // 8, "contested": 2}
    return {
        "value": value,
        "version": 1,
        "scores": scores,
        "answers": answers,
        "asked": asked,
        "delivered": delivered,
        "reached": asked * 97 // 100,
        "opened": answers * 8 // 5,
        **counts,
    }


def line(level: float, at: datetime = NOW) -> list[list[float]]:
    """Four minutes of a share that falls out of its band and comes back."""
    points = []
    for i in range(120):
        fall = 0.25 * max(0.0, 1 - abs(i - 80) / 22)
        shake = 0.01 * ((i * 7) % 5 - 2)
        points.append(
            [at.timestamp() - 240 + 2 * i, level - fall + shake, level - 0.09, level + 0.08, level, 12 + i % 7]
        )
    return points


def events(
    row: str = "",
    worst: str = "",
    *,
    age: float = 0.2,
    behind: int = 0,
    answers: int = 9334,
    unreached: Collection[str] = (),
    alerts: Sequence[Mapping[str, Any]] = ALERTS,
    begun: bool = True,
) -> bytes:
    """What a reader of the stream hears first.

    The worst terminal may be another one, the numbers old or few, and some terminals without receipts; of a day that
    has not begun for anybody there is nothing.
    """
    terminal_shares = TERMINALS | ({worst: (TERMINALS[worst][0], 0.7)} if worst else {})
    cells = [cell("", answers, 0.879), *(cell(name, *of) for name, of in terminal_shares.items())]
    total, *parts = [c | {"reached": 0} if c["value"] in unreached else c for c in cells]
    everything = total if begun else None
    picture = {
        "as_of": NOW.isoformat(),
        "now": (NOW + timedelta(seconds=age)).isoformat(),
        "scope": {"span": "today", "rows": "terminal", "method": None, "zone": "Europe/Stockholm"},
        "total": counters(everything),
        "figures": figures(everything),
        "terminals": rows_of("terminal", parts if begun else [], everything),
        "freshness": {
            "median": 0.04,
            "slowest": 0.19,
            "answers": 900,
            "recent": [0.03 + 0.01 * (i % 4) for i in range(60)],
        },
        "behind": behind,
        "reasons": {"carrier_budget_spent": 18604, "drop_already_asked": 11982, "not_sampled": 6450} if begun else {},
        "alerts": [*alerts],
        "history": [],
        "line": line(0.879),
    }
    days = [
        {"value": name, "day": 100 - d, "satisfied": round(n * (s + 0.004 * (d * 3 % 7 - 3))), "answers": n}
        for name, (n, s) in TERMINALS.items()
        for d in range(14)
    ]
    usual = {"satisfied": {"n": 80000, "share": 0.884, "low": 0.882, "high": 0.886}}
    usual["dissatisfied"] = {"n": 80000, "share": 0.031, "low": 0.030, "high": 0.032}
    past = {
        "days": small_lines(100, days),
        "usual": usual,
        "open_cases": 14,
        "cases": {"Årsta": 7, "Växjö": 1, "Segeltorp": 2},
        "disruptions": [
            {"kind": "weather", "countries": ["SE"], "from": NOW.timestamp() - 110, "until": NOW.timestamp() - 40}
        ],
    }
    told: list[tuple[str, Any]] = [("snapshot", picture), ("past", past)]
    if row:
        told.append(("row", {"value": row, "line": line(0.88)}))
    return b"".join(b"event: %b\nid: x-1\ndata: %b\n\n" % (name.encode(), orjson.dumps(data)) for name, data in told)


def terminal() -> bytes:
    def day(back: int, *scores: int) -> dict[str, Any]:
        n = sum(scores)
        on = (TODAY - timedelta(days=back)).isoformat()
        counts = {"asked": 4 * n, "reached": 4 * n - n // 9, "delivered": 8 * n, "suppressed": n}
        return {"value": "Årsta", "start": on, "scores": list(scores), "answers": n, **counts}

    days = [day(back, 3, 4, 5, 20 + back % 6, 30 + (back * 5) % 9) for back in range(28) if back != 9]
    methods = [
        {**day(0, 10, 12, 20, 100, 160 + n), "value": f"Årsta × {m}"} for n, m in enumerate(("home_day", "other"))
    ]
    methods.append({**day(0, 0, 0, 0, 0, 3), "value": "Årsta × home_box"})
    unit = unit_of("Årsta", days, methods, TODAY)
    effect = {"effect": [0.031, 0.005, 0.057], "sure": True}
    marked = [{"what": "evening delivery", "starts_on": "2026-10-01", **effect}]
    said = {"recommend": {10: 40, 9: 30, 8: 20, 4: 10}, "ease": {2: 4, 3: 9, 4: 40, 5: 47}, "courtesy": {1: 4}}
    waves = [{"value": f"Årsta × {w}", "scores": s} for w, s in (("early", (30, 9, 40, 220, 500)), ("late", [20] * 5))]
    beside = further_rows(asked_of(said), waves_of(waves))
    not_asked = [("not sampled", "2,104", "21.0\u00a0%"), ("opted out", "96", "1.0\u00a0%")]
    values = terminal_page.told(unit, share_of(7900, 9000), [], marked, NOW, beside, not_asked)
    return render_staff("terminal.html", **values)


def a_digest() -> bytes:
    rows = {0: {"s1": 9, "s2": 6, "s3": 8, "s4": 20, "s5": 57, "delivered": 690, "asked": 402, "commented": 31}}
    rows[0]["contested"] = 1
    rows |= {age: {"s1": 2, "s2": 3, "s3": 5, "s4": 30, "s5": 60 + age % 5, "delivered": 700} for age in range(1, 29)}
    said = {"recommend": {10: 40, 9: 30, 8: 20, 4: 10}, "ease": {2: 4, 3: 9, 4: 40, 5: 47}, "courtesy": {1: 4}}
    marked = [Intervention("evening delivery", "terminal", "Årsta", date(2026, 10, 1))]
    told = digest("terminal", "Årsta", TODAY, rows, fewest=5, said=said, interventions=marked)
    return page_of(told, NOW, form_secret="f-1")


def driver() -> bytes:
    months = [
        OwnMonth(SEPTEMBER - i, share_of(40 + i, 48 + i), share_of(5, 48 + i))
        if i != 2
        else OwnMonth(SEPTEMBER - 2, None, None)
        for i in range(5)
    ]
    return driver_page.told("driver-05", (7, 143), months, NOW)


def quality(language: str = "sv") -> bytes:
    months = two_years()
    changes = (Change("Kvällsleverans i fler orter", date(2026, 5, 3)),)
    corrections = latest_first(c for month in months.values() for c in corrections_of(month))
    shelf = Shelf((SEPTEMBER - 1, SEPTEMBER), changes, COMPLAINTS, corrections)
    return render(quality_in(SEPTEMBER, months), PUBLISHER, shelf, language).encode()


PAGES: dict[str, Callable[[], bytes]] = {
    "/live": render_live,
    "/terminals/Arsta": terminal,
    "/drivers/me": driver,
    "/digests": a_digest,
    "/quality": quality,
    "/quality/none": lambda: render_none(PUBLISHER, "sv").encode(),
}


def comment(score: int, terminal: str, text: str) -> str:
    """A comment as the survey service's fragment has it."""
    face = f'<svg class="face" width="16" height="16" aria-hidden="true"><use href="#face{score}"/></svg>'
    about = f'{face}<span class="vh">Score {score} of 5</span><strong>{terminal}</strong> <time>13 Oct 12:31 UTC</time>'
    return f'<li><p class="about">{about}</p><p class="said" lang="sv">{text}</p></li>'


COMMENTS = [
    comment(5, "Göteborg", 'Ringde innan och bar in paketet. Tack till <span class="mask" lang="en">name</span>'),
    comment(2, "Årsta", "Tiden sa 10–12 men paketet kom efter ett. Ingen avisering."),
]
