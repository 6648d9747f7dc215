"""What tests of the Helm chart share: the values they try, and the chart as it is rendered with them."""

from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

CHART = Path(__file__).resolve().parents[1] / "deploy/helm/kvittera"
SECURED = {
    "kafka": {
        "bootstrap": "kafka:9093",
        "security": "sasl_ssl",
        "username": "kvittera",
        "caSecret": "cluster-ca-cert",
    },
    "keda": {"enabled": True},
    "settings": {"BRAND": "Nordposten Demo", "LOCK_AFTER_DAYS": 14},
}
WATCHED = {
    "public": {"trustedProxies": 2, "ingress": {"enabled": False}},
    "policies": "kvittera-policies",
    "surveys": "kvittera-surveys",
    "tracing": {"endpoint": "http://collector.tracing.svc:4318", "share": 0.5},
    "monitoring": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "runbookBase": "https://docs.example/kvittera",
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Kvittera"}},
    },
    "networkPolicy": {"kafkaNamespace": "strimzi", "ingressController": {"app.kubernetes.io/name": "traefik"}},
    "settings": {"USUAL_SENDS_PER_HOUR": 1_000_000, "OIDC_CLIENT_SECRET_FILE": "/run/kvittera/oidc-client-secret"},
}
VALUES = pytest.mark.parametrize("values", [{}, SECURED, WATCHED], ids=["as it comes", "secured", "watched"])
OPERATORS = {"ScaledObject", "PodMonitor", "PrometheusRule"}
"""Kinds of KEDA and of the Prometheus operator, which Kubernetes itself does not know."""

Thing = dict[str, Any]


def rendered(chart: helm.Chart, values: dict[str, Any] | None = None, name: str = "post") -> list[Thing]:
    """Everything that a release of that name would make in the cluster."""
    files = chart.render(values=values, name=name, namespace="kvittera")
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def pods(things: list[Thing]) -> dict[str, dict[str, Any]]:
    """What each kind of pod is like, by the kind and name of what makes it."""
    makers = {
        f"{t['kind']} {t['metadata']['name']}": t for t in things if t["kind"] in {"Deployment", "Job", "CronJob"}
    }
    specs = {name: t["spec"].get("jobTemplate", t)["spec"] for name, t in makers.items()}
    return {name: spec["template"]["spec"] for name, spec in specs.items()}


def named(things: list[Thing], kind: str, name: str) -> Thing:
    """The one of that kind and name."""
    [found] = [t for t in things if t["kind"] == kind and t["metadata"]["name"] == name]
    return found
