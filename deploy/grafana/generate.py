"""Writes the Grafana dashboards, one for each audience: `python deploy/grafana/generate.py`."""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3
Query = tuple[str, str]
"""Expression and legend."""
Panel = tuple[str, str, list[Query]]
"""Title, unit and queries."""


def quantile(share: float, histogram: str) -> str:
    """The share's quantile of a histogram over the last interval."""
    return f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket[$__rate_interval])))"


OPERATIONS: list[Panel] = [
    ("Answers a second", "reqps", [("sum by (kind) (rate(kvittera_answers_total[$__rate_interval]))", "{{kind}}")]),
    (
        "Turned away a second",
        "reqps",
        [("sum by (reason) (rate(kvittera_answers_refused_total[$__rate_interval]))", "{{reason}}")],
    ),
    (
        "Turned away by us, share of tries",
        "percentunit",
        [("kvittera:answers_turned_away:ratio_5m", "5 minutes"), ("kvittera:answers_turned_away:ratio_1h", "1 hour")],
    ),
    (
        "Not asked, by reason",
        "short",
        [('sum by (reason) (increase(kvittera_decisions_total{outcome="suppressed"}[1h]))', "{{reason}}")],
    ),
    ("Every delivery has one outcome", "short", [("max by (state) (kvittera_ledger)", "{{state}}")]),
    (
        "From delivery to request",
        "s",
        [
            (quantile(0.5, "kvittera_event_to_ask_seconds"), "median"),
            (quantile(0.99, "kvittera_event_to_ask_seconds"), "99 %"),
        ],
    ),
    (
        "Sent, by channel and result",
        "reqps",
        [("sum by (channel, result) (rate(kvittera_sends_total[$__rate_interval]))", "{{channel}} {{result}}")],
    ),
    ("Fate unknown", "short", [("max(kvittera_in_doubt)", "in doubt")]),
    (
        "Machine-like answers a second",
        "reqps",
        [("sum by (sign) (rate(kvittera_answers_suspected_total[$__rate_interval]))", "{{sign}}")],
    ),
]
RELIABILITY: list[Panel] = [
    ("Processes", "short", [('sum by (service) (up{job="kvittera"})', "{{service}}")]),
    ("Records not yet read", "short", [("sum by (service, topic) (kvittera_consumer_lag)", "{{service}} {{topic}}")]),
    (
        "Records a second",
        "reqps",
        [("sum by (topic, result) (rate(kvittera_records_total[$__rate_interval]))", "{{topic}} {{result}}")],
    ),
    ("Oldest row waiting for Kafka", "s", [("max by (service) (kvittera_outbox_age_seconds)", "{{service}}")]),
    ("Rows waiting for Kafka", "short", [("sum by (service) (kvittera_outbox_waiting)", "{{service}}")]),
    ("Tries again a second", "reqps", [("sum by (what) (rate(kvittera_retries_total[$__rate_interval]))", "{{what}}")]),
    (
        "From answer to counter",
        "s",
        [
            (quantile(0.5, "kvittera_freshness_seconds"), "median"),
            (quantile(0.99, "kvittera_freshness_seconds"), "99 %"),
        ],
    ),
    (
        "Counted late, share of answers",
        "percentunit",
        [("kvittera:answers_counted_late:ratio_5m", "5 minutes"), ("kvittera:answers_counted_late:ratio_1h", "1 hour")],
    ),
    ("Seconds a batch takes, 99 %", "s", [(quantile(0.99, "kvittera_batch_seconds"), "99 %")]),
    ("Event loop held up", "s", [("max by (service) (kvittera_loop_lag_seconds)", "{{service}}")]),
    ("Off the ledger identity", "short", [("max(kvittera_ledger_gap)", "gap")]),
    ("Answers that share a commit, median", "short", [(quantile(0.5, "kvittera_answers_per_commit"), "median")]),
]
CARE: list[Panel] = [
    ("What staff did with praise", "short", [("sum by (act) (increase(kvittera_praise_total[1h]))", "{{act}}")]),
    ("Pages shown", "reqps", [("sum by (state) (rate(kvittera_pages_total[$__rate_interval]))", "{{state}}")]),
    ("Sign-ins of staff", "short", [("sum by (result) (increase(kvittera_staff_sign_ins_total[1h]))", "{{result}}")]),
    ("Erasures not yet told", "short", [("max(kvittera_erasures_pending)", "pending")]),
    (
        "Personal data past its time, deleted",
        "short",
        [("sum by (what) (increase(kvittera_retention_deleted_total[1d]))", "{{what}}")],
    ),
]
DASHBOARDS: dict[str, tuple[str, list[Panel]]] = {
    "operations": ("Kvittera: asking and answering", OPERATIONS),
    "reliability": ("Kvittera: reliability", RELIABILITY),
    "care": ("Kvittera: care and privacy", CARE),
}


def dashboard(name: str, title: str, panels: list[Panel]) -> dict[str, Any]:
    """One dashboard in Grafana's JSON model."""
    return {
        "uid": f"kvittera-{name}",
        "title": title,
        "tags": ["kvittera"],
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "schemaVersion": 39,
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(place, *panel) for place, panel in enumerate(panels)],
    }


def _panel(place: int, title: str, unit: str, queries: list[Query]) -> dict[str, Any]:
    row, column = divmod(place, _COLUMNS)
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 0, "lineWidth": 2}},
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": source, "expr": expression, "legendFormat": legend}
            for i, (expression, legend) in enumerate(queries)
        ],
    }


def written() -> dict[str, str]:
    """The text of each file by its name."""
    return {
        f"{name}.json": json.dumps(dashboard(name, title, panels), indent=1, ensure_ascii=False) + "\n"
        for name, (title, panels) in DASHBOARDS.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in written().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}\n")
