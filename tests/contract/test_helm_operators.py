"""What the chart makes for KEDA, the Prometheus operator and Grafana is what they take, and what stands elsewhere."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import helm_python as helm
import promql_parser
import pytest
import yaml
from jsonschema import Draft202012Validator

from services.notifier.due import MOST_COUNTED
from tests.chart import CHART, OPERATORS, SECURED, WATCHED, Thing, named, rendered

KEDA = {
    "keda": {
        "enabled": True,
        "prometheus": "http://prometheus.example:9090",
        "lag": {"notifier": 11, "aggregator": 22},
        "dueInvitations": 33,
        "settleSeconds": 44,
    }
}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[helm.Chart]:
    """Packed, as it is handed on: nothing outside of it is at hand."""
    packed = helm.package(CHART, destination=tmp_path_factory.mktemp("packed"))
    with helm.Chart.load_archive(Path(packed).read_bytes()) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def of_operators(chart: helm.Chart) -> dict[str, Thing]:
    things = [*rendered(chart, SECURED), *rendered(chart, WATCHED)]
    return {f"{t['kind']} {t['metadata']['name']}": t for t in things if t["kind"] in OPERATORS}


@pytest.fixture(scope="module")
def wrong() -> Callable[[Thing], list[str]]:
    schemas = json.loads(Path(__file__).with_name("operators.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schemas)
    kinds = {kind: Draft202012Validator({**schemas, "$ref": f"#/$defs/{kind}"}) for kind in OPERATORS}
    return lambda thing: [f"{e.json_path}: {e.message}" for e in kinds[thing["kind"]].iter_errors(thing)]


def test_everything_for_operators_is_what_they_take(
    of_operators: dict[str, Thing], wrong: Callable[[Thing], list[str]]
) -> None:
    assert sorted(of_operators) == [
        "PodMonitor post",
        "PrometheusRule post",
        "ScaledObject post-aggregator",
        "ScaledObject post-notifier",
    ]
    assert {name: told for name, thing in of_operators.items() if (told := wrong(thing))} == {}


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("ScaledObject post-notifier", ["spec", "minReplicas"], 2),
        ("ScaledObject post-notifier", ["spec", "scaleTargetRef", "name"], "Post"),
        ("ScaledObject post-notifier", ["spec", "triggers", 0, "metadata", "threshold"], 1000),
        ("ScaledObject post-notifier", ["spec", "triggers", 1, "type"], "postgresql"),
        ("ScaledObject post-notifier", ["spec", "triggers"], []),
        ("ScaledObject post-notifier", ["spec", "triggers", 0, "metadata", "ignoreNullValues"], False),
        ("ScaledObject post-notifier", ["spec", "advanced", "behavior"], {"scaleDown": {}}),
        ("PodMonitor post", ["spec", "podMetricsEndpoints", 0, "relabelings", 0, "target_label"], "job"),
        ("PodMonitor post", ["spec", "podMetricsEndpoints", 0, "interval"], "15"),
        ("PodMonitor post", ["spec", "endpoints"], [{"port": "http"}]),
        ("PodMonitor post", ["metadata", "labels", "release"], "kube prometheus"),
        ("PrometheusRule post", ["spec", "groups", 0, "rules", 0, "for"], "5m"),
        ("PrometheusRule post", ["spec", "groups", 1, "rules", 0, "for"], "1s5m"),
        ("PrometheusRule post", ["spec", "groups", 1, "rules", 0, "annotations", "runbook-url"], "x"),
        ("PrometheusRule post", ["spec", "groups", 1, "rules", 0, "labels", "severity"], 1),
        ("PrometheusRule post", ["apiVersion"], "monitoring.coreos.com/v1alpha1"),
    ],
)
def test_what_an_operator_would_refuse_is_found(
    of_operators: dict[str, Thing],
    wrong: Callable[[Thing], list[str]],
    name: str,
    path: list[str | int],
    value: object,
) -> None:
    thing = deepcopy(of_operators[name])
    at: Any = thing
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert wrong(thing)


def test_nothing_is_made_for_operators_unless_it_is_asked_for(chart: helm.Chart) -> None:
    things = rendered(chart)
    assert [t["kind"] for t in things if t["kind"] in OPERATORS] == []
    assert [t["metadata"]["name"] for t in things if t["kind"] == "ConfigMap"] == ["post-settings"]


def test_scaling_follows_lag_and_leaves_the_number_to_keda(chart: helm.Chart) -> None:
    things = rendered(chart, SECURED)
    assert "replicas" not in named(things, "Deployment", "post-aggregator")["spec"]
    assert named(things, "Deployment", "post-survey")["spec"]["replicas"] == 2
    scaled = named(things, "ScaledObject", "post-aggregator")["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (2, 6)


def test_keda_is_never_given_fewer_processes_at_most_than_at_least(chart: helm.Chart) -> None:
    services = {"aggregator": {"replicas": 8}, "survey": {"replicas": 9}}
    with pytest.raises(helm.HelmError, match=r"keda.most is 6, below services.aggregator.replicas, which is 8"):
        rendered(chart, {"keda": {"enabled": True}, "services": services})
    scaled = named(
        rendered(chart, {"keda": {"enabled": True, "most": 8}, "services": services}), "ScaledObject", "post-aggregator"
    )
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (8, 8)


def test_keda_asks_for_gauges_of_the_metrics_page_by_the_numbers_of_the_values(
    chart: helm.Chart, repository: Path
) -> None:
    page = (repository / "docs/metrics.md").read_text(encoding="utf-8")
    gauges = set(re.findall(r"^\| `(kvittera_\w+)`", page.split("## Gauges")[1].split("\n## ")[0], re.MULTILINE))
    asked: dict[str, dict[str, str]] = {}
    for thing in rendered(chart, KEDA):
        if thing["kind"] == "ScaledObject":
            told = [trigger["metadata"] for trigger in thing["spec"]["triggers"]]
            assert {t["serverAddress"] for t in told} == {"http://prometheus.example:9090"}
            for query in (t["query"] for t in told):
                promql_parser.parse(query)
                assert set(re.findall(r"\bkvittera_\w+", query)) <= gauges
            assert {t["ignoreNullValues"] for t in told} == {"false"}, "a missing gauge would be taken for no work"
            asked[thing["metadata"]["name"]] = {t["query"]: t["threshold"] for t in told}
    assert asked == {
        "post-aggregator": {'sum(kvittera_consumer_lag{namespace="kvittera", service="aggregator"})': "22"},
        "post-notifier": {
            'sum(kvittera_consumer_lag{namespace="kvittera", service="notifier"})': "11",
            'max(kvittera_requests_due{namespace="kvittera"})': "33",
        },
    }


def test_processes_go_again_after_the_time_of_the_values(chart: helm.Chart) -> None:
    for name in ("post-aggregator", "post-notifier"):
        spec = named(rendered(chart, KEDA), "ScaledObject", name)["spec"]
        window = {"scaleDown": {"stabilizationWindowSeconds": 44}}
        assert spec["advanced"] == {"horizontalPodAutoscalerConfig": {"behavior": window}}
        assert "cooldownPeriod" not in spec, "it is for the way to no process at all, which no value asks for"


def test_notifiers_can_be_as_many_as_the_values_allow_before_counting_ends(chart: helm.Chart) -> None:
    keda = chart.values["keda"]
    assert keda["most"] * keda["dueInvitations"] <= MOST_COUNTED


def test_the_operator_gets_the_alerts_which_miss_services_of_this_namespace_and_the_labels_that_they_ask_for(
    chart: helm.Chart, repository: Path
) -> None:
    values = {"monitoring": {"enabled": True, "labels": {"release": "prometheus"}}}
    things = rendered(chart, values)
    rules = named(things, "PrometheusRule", "post")
    stored = yaml.safe_load((repository / "deploy/prometheus/rules/kvittera.yml").read_text(encoding="utf-8"))
    told = [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
    [missing] = [rule for rule in told if rule.get("alert") == "KvitteraServiceMissing"]
    assert missing["expr"].count('absent(up{namespace="kvittera",job="kvittera",service="') == 3
    missing["expr"] = missing["expr"].replace('namespace="kvittera",', "")
    assert rules["spec"] == stored
    monitor = named(things, "PodMonitor", "post")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert {r["targetLabel"]: r.get("replacement") for r in endpoint["relabelings"]} == {
        "job": "kvittera",
        "service": None,
    }
    assert rules["metadata"]["labels"]["release"] == monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_targets_of_the_operator_have_the_label_by_which_a_service_is_missed(chart: helm.Chart) -> None:
    things = rendered(chart, WATCHED)
    [endpoint] = named(things, "PodMonitor", "post")["spec"]["podMetricsEndpoints"]
    [source] = [r["sourceLabels"] for r in endpoint["relabelings"] if r["targetLabel"] == "service"]
    assert source == ["__meta_kubernetes_pod_label_app_kubernetes_io_component"]
    pods = [t["spec"]["template"] for t in things if t["kind"] == "Deployment"]
    components = sorted(pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods)
    assert components == ["aggregator", "notifier", "survey"]


@pytest.mark.parametrize("base", ["https://docs.example/kvittera", "https://docs.example/kvittera/"])
def test_alerts_link_to_their_pages_where_the_documentation_is_served(
    chart: helm.Chart, repository: Path, base: str
) -> None:
    values = {"monitoring": {"enabled": True, "runbookBase": base}}
    chart.validate_schema(chart.merge_values(values))
    groups = named(rendered(chart, values), "PrometheusRule", "post")["spec"]["groups"]
    pages = {r["alert"]: r["annotations"]["runbook_url"] for group in groups for r in group["rules"] if "alert" in r}
    assert pages["KvitteraProcessDown"] == "https://docs.example/kvittera/runbooks/KvitteraProcessDown.html"
    known = {f"{base.rstrip('/')}/runbooks/{page.stem}.html" for page in (repository / "docs/runbooks").glob("*.md")}
    assert set(pages.values()) == known


def test_grafana_gets_every_dashboard_as_it_stands_by_the_label_that_its_sidecar_looks_for(
    chart: helm.Chart, repository: Path
) -> None:
    maps = [t for t in rendered(chart, WATCHED) if t["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert {t["kind"] for t in maps} == {"ConfigMap"}
    assert {t["metadata"]["annotations"]["grafana_folder"] for t in maps} == {"Kvittera"}
    stored = {p.name: p.read_text(encoding="utf-8") for p in (repository / "deploy/grafana/dashboards").glob("*.json")}
    assert {file: text for t in maps for file, text in t["data"].items()} == stored
    assert {t["metadata"]["name"] for t in maps} == {f"post-dashboard-{file.removesuffix('.json')}" for file in stored}
    assert len(maps) == len(stored) == 3
