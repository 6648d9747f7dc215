"""The Helm chart renders for the clusters we know of, and everything in it is what Kubernetes takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from services.chassis.settings import PREFIX, Settings

KUBERNETES = ("1.29", "1.37")
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


@pytest.fixture(scope="module")
def chart(repository: Path) -> Iterator[helm.Chart]:
    with helm.Chart.load(repository / "deploy/helm/kvittera") as loaded:
        yield loaded


def rendered(chart: helm.Chart, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    files = chart.render(values=values, name="post", namespace="kvittera")
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def named(things: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [t for t in things if t["kind"] == kind and t["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", [{}, SECURED], ids=["as it comes", "secured"])
def test_everything_rendered_is_what_kubernetes_takes(chart: helm.Chart, version: str, values: dict[str, Any]) -> None:
    things = rendered(chart, values)
    assert len(things) > 15
    for thing in things:
        if thing["kind"] != "ScaledObject":  # KEDA's own kind has no schema among those of Kubernetes
            kubernetes_validate.validate(thing, version, strict=True)


def test_each_service_runs_as_nobody_with_probes_a_budget_and_time_to_drain(chart: helm.Chart) -> None:
    things = rendered(chart)
    for service in ("notifier", "survey", "aggregator"):
        pod = named(things, "Deployment", f"post-{service}")["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert container["args"] == [service]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        assert pod["terminationGracePeriodSeconds"] > Settings().drain_seconds
        assert named(things, "PodDisruptionBudget", f"post-{service}")["spec"]["maxUnavailable"] == 1


def test_the_settings_are_ones_that_exist_and_no_secret_stands_in_the_map(chart: helm.Chart) -> None:
    data = named(rendered(chart, SECURED), "ConfigMap", "post-settings")["data"]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {name.removesuffix("_FILE") for name in data if name.endswith("_FILE")} <= known | {"KVITTERA_KAFKA_CA"}
    assert {name for name in data if not name.endswith("_FILE")} <= known
    assert data["KVITTERA_KAFKA_PASSWORD_FILE"] == "/run/kvittera/kafka-password"
    assert data["KVITTERA_LOCK_AFTER_DAYS"] == "14"


def test_the_ingress_sends_each_path_to_the_service_that_owns_it(chart: helm.Chart) -> None:
    [rule] = named(rendered(chart), "Ingress", "post")["spec"]["rules"]
    assert rule["host"] == "svar.example"
    owner = {p["path"]: p["backend"]["service"]["name"] for p in rule["http"]["paths"]}
    assert owner["/r/"] == owner["/cases"] == owner["/staff"] == "post-survey"
    assert owner["/live"] == owner["/api/cells"] == "post-aggregator"
    assert "/metrics" not in owner
    assert not any(path.startswith("/outbox") for path in owner), "the outbox viewer is not for the world"


def test_scaling_follows_lag_and_leaves_the_number_to_keda(chart: helm.Chart) -> None:
    things = rendered(chart, SECURED)
    assert "replicas" not in named(things, "Deployment", "post-aggregator")["spec"]
    assert named(things, "Deployment", "post-survey")["spec"]["replicas"] == 2
    scaled = named(things, "ScaledObject", "post-aggregator")["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (2, 6)
    assert rendered(chart)
    assert not [t for t in rendered(chart) if t["kind"] == "ScaledObject"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka": {"bootstrap": "kafka"}},
        {"public": {"url": "svar.example"}},
        {"services": {"notifier": {"replicas": -1, "port": 1}}},
        {"terminationGracePeriodSeconds": 5},
        {"colour": "blue"},
    ],
)
def test_wrong_values_are_refused_before_anything_is_rendered(chart: helm.Chart, wrong: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmError):
        chart.validate_schema(chart.merge_values(wrong))
