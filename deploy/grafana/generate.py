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


def quantile(share: float, histogram: str, span: str = "$__rate_interval", by: str = "le") -> str:
    """The share's quantile of a histogram over a span."""
    return f"histogram_quantile({share}, sum by ({by}) (rate({histogram}_bucket[{span}])))"


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
    ("Due and free to leave, to 10,000", "short", [("max(kvittera_requests_due)", "due")]),
    (
        "From delivery to request",
        "s",
        [
            (quantile(0.5, "kvittera_event_to_ask_seconds"), "median"),
            (quantile(0.99, "kvittera_event_to_ask_seconds"), "99 %"),
        ],
    ),
    (
        "From request to answer",
        "s",
        [
            (quantile(0.5, "kvittera_ask_to_answer_seconds"), "median"),
            (quantile(0.9, "kvittera_ask_to_answer_seconds"), "90 %"),
        ],
    ),
    (
        "Sent, by channel and result",
        "reqps",
        [("sum by (channel, result) (rate(kvittera_sends_total[$__rate_interval]))", "{{channel}} {{result}}")],
    ),
    (
        "Stopped just before leaving, by reason",
        "short",
        [("sum by (reason) (increase(kvittera_withheld_total[1h]))", "{{reason}}")],
    ),
    (
        "Sending",
        "short",
        [
            ("max(kvittera_sending_on)", "on"),
            ("max(kvittera_sending_heard)", "what people said is read"),
            ("max(kvittera_sending_permitted_until_timestamp_seconds > 0) > bool time()", "permitted"),
            ("sum by (channel) (increase(kvittera_volume_pauses_total[1h]))", "paused by volume: {{channel}}"),
            ("max by (channel) (kvittera_provider_breaker)", "left alone: {{channel}}"),
        ],
    ),
    (
        "Calls to providers, by result",
        "reqps",
        [
            (
                "sum by (provider, result) (rate(kvittera_provider_calls_total[$__rate_interval]))",
                "{{provider}} {{result}}",
            )
        ],
    ),
    (
        "Seconds a call to a provider takes, 99 %",
        "s",
        [(quantile(0.99, "kvittera_provider_call_seconds", by="provider, channel, le"), "{{provider}} {{channel}}")],
    ),
    (
        "What providers report of messages",
        "reqps",
        [("sum by (provider, result) (rate(kvittera_receipts_total[$__rate_interval]))", "{{provider}} {{result}}")],
    ),
    (
        "Parts of text messages",
        "short",
        [("sum by (provider) (increase(kvittera_sms_segments_total[1h]))", "{{provider}}")],
    ),
    (
        "Fate unknown, and second messages",
        "short",
        [
            ("max(kvittera_in_doubt)", "in doubt"),
            ("sum by (channel) (increase(kvittera_possible_duplicates_total[1h]))", "second message: {{channel}}"),
            ("sum by (channel) (increase(kvittera_unsettled_total[1h]))", "end not written: {{channel}}"),
        ],
    ),
    (
        "Machine-like answers a second",
        "reqps",
        [("sum by (sign) (rate(kvittera_answers_suspected_total[$__rate_interval]))", "{{sign}}")],
    ),
    ("Replies by text message", "short", [("sum by (result) (increase(kvittera_inbound_total[1h]))", "{{result}}")]),
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
    (
        "Rows waiting for Kafka",
        "short",
        [
            ("max by (service) (kvittera_outbox_waiting)", "{{service}}"),
            ("sum by (topic) (kvittera_outbox_lost)", "without a topic: {{topic}}"),
        ],
    ),
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
        "Oldest record that waits to be counted",
        "s",
        [('min(kvittera_counters_behind_seconds{service="aggregator"})', "waits")],
    ),
    (
        "Counted late, share of answers",
        "percentunit",
        [("kvittera:answers_counted_late:ratio_5m", "5 minutes"), ("kvittera:answers_counted_late:ratio_1h", "1 hour")],
    ),
    ("Seconds a batch takes, 99 %", "s", [(quantile(0.99, "kvittera_batch_seconds"), "99 %")]),
    ("Event loop held up", "s", [("max by (service) (kvittera_loop_lag_seconds)", "{{service}}")]),
    (
        "Off the ledger identity, and found by the audit",
        "short",
        [("max(kvittera_ledger_gap)", "gap"), ("max(kvittera_audit_differences)", "audit")],
    ),
    ("Since the latest audit", "s", [("time() - max(kvittera_audit_ended_timestamp_seconds > 0)", "since it ended")]),
    (
        "Records in a transaction, median",
        "short",
        [(quantile(0.5, "kvittera_batch_records", by="group, le"), "{{group}}")],
    ),
    (
        "Rows that Kafka took a second",
        "reqps",
        [("sum by (topic) (rate(kvittera_outbox_published_total[$__rate_interval]))", "{{topic}}")],
    ),
    ("Cells published again", "short", [("sum(increase(kvittera_cells_republished_total[1h]))", "cells")]),
    ("Months ahead, by table", "short", [("min by (table) (kvittera_months_ahead)", "{{table}}")]),
    ("Answers that share a commit, median", "short", [(quantile(0.5, "kvittera_answers_per_commit"), "median")]),
]
CARE: list[Panel] = [
    ("Cases not resolved", "short", [("max by (state) (kvittera_cases)", "{{state}}")]),
    ("Cases not resolved, by age", "short", [("max by (age) (kvittera_cases_by_age)", "{{age}}")]),
    ("First contact overdue", "short", [("max(kvittera_cases_overdue)", "cases")]),
    (
        "From case to first contact",
        "s",
        [
            (quantile(0.5, "kvittera_case_first_contact_seconds", "1d"), "median"),
            (quantile(0.9, "kvittera_case_first_contact_seconds", "1d"), "90 %"),
        ],
    ),
    (
        "Words to people about their cases",
        "short",
        [("sum by (result) (increase(kvittera_outcomes_total[1d]))", "{{result}}")],
    ),
    ("What staff did with praise", "short", [("sum by (act) (increase(kvittera_praise_total[1h]))", "{{act}}")]),
    ("Pages shown", "reqps", [("sum by (state) (rate(kvittera_pages_total[$__rate_interval]))", "{{state}}")]),
    ("Sign-ins of staff", "short", [("sum by (result) (increase(kvittera_staff_sign_ins_total[1h]))", "{{result}}")]),
    ("Erasures not yet told", "short", [("max(kvittera_erasures_pending)", "pending")]),
    (
        "Personal data past its time, deleted",
        "short",
        [("sum by (what) (increase(kvittera_retention_deleted_total[1d]))", "{{what}}")],
    ),
    (
        "Whole months past their time, dropped",
        "short",
        [("sum by (table) (increase(kvittera_months_dropped_total[1d]))", "{{table}}")],
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
        "options": {
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
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
