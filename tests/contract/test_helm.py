"""The Helm chart renders for the clusters we know of, and everything in it is what Kubernetes takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from services.chassis.environment import load_settings
from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from tests.chart import CHART, OPERATORS, SECURED, VALUES, WATCHED, named, pods, rendered

KUBERNETES = ("1.29", "1.37")
INFORMATION = 1
"""A finding of `helm lint` that asks for nothing."""
NOT_FOR_THE_WORLD = {"/health/live", "/health/ready", "/metrics", "/outbox/messages"}


@pytest.fixture(scope="module")
def chart() -> Iterator[helm.Chart]:
    with helm.Chart.load(CHART) as loaded:
        yield loaded


@VALUES
def test_the_chart_has_nothing_that_helm_warns_of(values: dict[str, Any]) -> None:
    found = helm.lint(CHART, values, strict=True, kube_version="v1.29.0")
    assert [told for told in found["messages"] if told["severity"] > INFORMATION] == []
    assert found["total_charts_linted"] == 1


@pytest.mark.parametrize("version", KUBERNETES)
@VALUES
def test_everything_rendered_is_what_kubernetes_takes(chart: helm.Chart, version: str, values: dict[str, Any]) -> None:
    things = rendered(chart, values)
    assert len(things) > 15
    for thing in things:
        if thing["kind"] not in OPERATORS:
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


def test_a_release_named_as_our_settings_begin_starts_as_any_other(chart: helm.Chart) -> None:
    things = rendered(chart, name="kvittera")
    links = [t["metadata"]["name"] for t in things if t["kind"] == "Service"]
    assert sorted(links) == ["kvittera-aggregator", "kvittera-notifier", "kvittera-survey"]
    with pytest.raises(MustStop):
        load_settings({"KVITTERA_SURVEY_SERVICE_HOST": "10.0.0.7"})
    made = pods(things)
    assert len(made) == 7
    assert {name for name, pod in made.items() if pod.get("enableServiceLinks") is not False} == set()


def test_each_pod_asks_for_processor_time_and_memory_and_may_take_no_more_memory_than_told(chart: helm.Chart) -> None:
    for name, pod in pods(rendered(chart)).items():
        [container] = pod["containers"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
        assert container["resources"]["limits"].keys() == {"memory"}, name
    given = {"requests": {"cpu": "50m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    jobs = {name: pod for name, pod in pods(rendered(chart, {"jobs": {"resources": given}})).items() if "Job" in name}
    assert {name: pod["containers"][0]["resources"] for name, pod in jobs.items()} == {
        "Job post-migrate-1": given,
        "Job post-topics-1": given,
        "CronJob post-retention": given,
        "CronJob post-audit": given,
    }


@VALUES
def test_the_services_take_the_settings_of_the_map_as_they_stand(chart: helm.Chart, values: dict[str, Any]) -> None:
    data = named(rendered(chart, values), "ConfigMap", "post-settings")["data"]
    secrets = {name for name in data if str(data[name]).startswith("/run/kvittera/")}
    assert {"KVITTERA_POSTGRES_DSN_FILE", "KVITTERA_SEALING_KEY_FILE"} <= secrets
    given = dict.fromkeys({name.removesuffix("_FILE") for name in secrets}, "0" * 64)
    settings = load_settings({**{name: text for name, text in data.items() if name not in secrets}, **given})
    assert settings.public_url == "https://svar.example"


def test_no_secret_stands_in_the_map_and_numbers_stay_numbers(chart: helm.Chart) -> None:
    data = named(rendered(chart, SECURED), "ConfigMap", "post-settings")["data"]
    assert data["KVITTERA_KAFKA_PASSWORD_FILE"] == "/run/kvittera/kafka-password"
    assert data["KVITTERA_LOCK_AFTER_DAYS"] == "14"
    assert data["KVITTERA_TRUSTED_PROXIES"] == "1", "the ingress controller"
    watched = named(rendered(chart, WATCHED), "ConfigMap", "post-settings")["data"]
    assert watched["KVITTERA_USUAL_SENDS_PER_HOUR"] == "1000000"
    assert watched["KVITTERA_TRUSTED_PROXIES"] == "2"


def test_the_ingress_sends_each_path_to_the_service_that_owns_it(chart: helm.Chart) -> None:
    [rule] = named(rendered(chart), "Ingress", "post")["spec"]["rules"]
    assert rule["host"] == "svar.example"
    owner = {p["path"]: p["backend"]["service"]["name"] for p in rule["http"]["paths"]}
    assert owner["/r/"] == owner["/cases"] == owner["/staff"] == "post-survey"
    assert owner["/live"] == owner["/api/cells"] == "post-aggregator"
    assert "/metrics" not in owner
    assert not any(path.startswith("/outbox") for path in owner), "the outbox viewer is not for the world"


def test_the_ingress_has_every_path_of_the_operations_page_that_is_for_people_outside(
    chart: helm.Chart, repository: Path
) -> None:
    [rule] = named(rendered(chart), "Ingress", "post")["spec"]["rules"]
    owner = {p["path"].rstrip("/"): p["backend"]["service"]["name"] for p in rule["http"]["paths"]}
    text = (repository / "docs/operations.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (survey|notifier|aggregator) \| (.+?) \|", text, re.MULTILINE)
    paths = {(service, path) for service, cell in told for path in re.findall(r"`(/[^`]*)`", cell)}
    assert len(paths) > 40
    for service, path in paths:
        parts = path.split("/")
        owners = {owner.get("/".join(parts[:end])) for end in range(2, len(parts) + 1)} - {None}
        assert owners == (set() if path in NOT_FOR_THE_WORLD else {f"post-{service}"}), path


def test_the_values_of_the_staging_guide_make_a_cluster_that_logs_in_pulls_and_reaches_servers_outside(
    chart: helm.Chart, repository: Path
) -> None:
    guide = (repository / "docs/how-to/stage-in-a-cluster.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    values = yaml.safe_load(block)
    chart.validate_schema(chart.merge_values(values))
    things = rendered(chart, values)
    for thing in things:
        kubernetes_validate.validate(thing, KUBERNETES[0], strict=True)

    data = named(things, "ConfigMap", "post-settings")["data"]
    files = {text.removeprefix("/run/kvittera/") for name, text in data.items() if name.endswith("_FILE")}
    told = set(re.findall(r"^\| `([\w.-]+)` \|", guide, re.MULTILINE))
    assert told - files == {"postgres-ca.crt"}, "the DSN names it"
    assert files - told == {"/run/kafka/ca.crt"}
    plain = {n: t for n, t in data.items() if not t.startswith("/run/kvittera/")}
    given = {f"KVITTERA_{n}": "0" * 64 for n in ("POSTGRES_DSN", "SEALING_KEY", "KAFKA_PASSWORD", "OIDC_CLIENT_SECRET")}
    settings = load_settings({**plain, **given})
    assert (settings.staff_sign_in, settings.kafka_security, settings.channel) == ("oidc", "sasl_ssl", "outbox")

    pods = [t["spec"]["template"]["spec"] for t in things if t["kind"] in {"Deployment", "Job"}]
    assert [pod["imagePullSecrets"] for pod in pods] == [[{"name": "registry-login"}]] * 5
    assert {c["image"] for pod in pods for c in pod["containers"]} == {"registry.example/kvittera:0.1.0"}
    policies = [t["spec"] for t in things if t["kind"] == "NetworkPolicy"]
    outside = {"to": [{"ipBlock": {"cidr": "10.20.0.0/24"}}], "ports": [{"port": 9094}, {"port": 5432}]}
    assert [outside in policy["egress"] for policy in policies] == [True] * 4


@pytest.mark.parametrize(
    ("settings", "told", "untold"),
    [
        ({}, ["kvittera messages outbox", "Staff pages are shut"], []),
        ({"CHANNEL": "smtp", "STAFF_SIGN_IN": "oidc"}, [], ["outbox", "Staff pages"]),
    ],
    ids=["as it comes", "live"],
)
def test_the_notes_say_how_to_look_after_it_and_what_is_not_open_yet(
    chart: helm.Chart, settings: dict[str, str], told: list[str], untold: list[str]
) -> None:
    files = chart.render(values={"settings": settings}, name="post", namespace="staging")
    [notes] = [text for name, text in files.items() if name.endswith("NOTES.txt")]
    assert "kubectl --namespace staging exec deploy/post-notifier -- kvittera doctor" in notes
    assert "job/post-migrate-1" in notes
    assert [words for words in told if words not in notes] == []
    assert [words for words in untold if words in notes] == []


def test_policies_surveys_and_traces_are_reached_where_values_say(chart: helm.Chart) -> None:
    things = rendered(chart, WATCHED)
    data = named(things, "ConfigMap", "post-settings")["data"]
    pod = named(things, "Deployment", "post-notifier")["spec"]["template"]["spec"]
    assert {"name": "policies", "configMap": {"name": "kvittera-policies"}} in pod["volumes"]
    mounted = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert mounted["policies"] == data["KVITTERA_POLICIES_FOLDER"]
    assert {"name": "surveys", "configMap": {"name": "kvittera-surveys"}} in pod["volumes"]
    assert mounted["surveys"] == data["KVITTERA_SURVEYS_FOLDER"]
    policy = named(things, "NetworkPolicy", "post-aggregator")["spec"]
    assert policy["egress"][-1]["ports"] == [{"port": 4318}]
    controller = policy["ingress"][0]["from"][1]["podSelector"]["matchLabels"]
    assert controller == {"app.kubernetes.io/name": "traefik"}


def test_the_way_in_is_for_nginx_and_the_monitoring_and_what_the_values_add(chart: helm.Chart) -> None:
    balancer = {"from": [{"ipBlock": {"cidr": "10.30.0.0/16"}}], "ports": [{"port": 8602}]}
    nginx = {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}
    for more in ([], [balancer]):
        policy = named(rendered(chart, {"networkPolicy": {"ingress": more}}), "NetworkPolicy", "post-survey")["spec"]
        usual, *rest = policy["ingress"]
        assert usual["from"] == [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
            {"namespaceSelector": {}, "podSelector": {"matchLabels": nginx}},
        ]
        assert rest == more


def jobs_in_time(things: list[dict[str, Any]]) -> dict[str, str]:
    return {t["metadata"]["name"]: t["spec"]["schedule"] for t in things if t["kind"] == "CronJob"}


def test_the_audit_can_be_switched_off_and_keeps_its_time_otherwise(chart: helm.Chart) -> None:
    assert jobs_in_time(rendered(chart)) == {"post-retention": "17 3 * * *", "post-audit": "*/15 * * * *"}
    off = rendered(chart, {"jobs": {"audit": {"enabled": False}}})
    assert jobs_in_time(off) == {"post-retention": "17 3 * * *"}
    seldom = rendered(chart, {"jobs": {"audit": {"schedule": "5 4 * * *"}}})
    assert jobs_in_time(seldom)["post-audit"] == "5 4 * * *"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka": {"bootstrap": "kafka"}},
        {"public": {"url": "svar.example"}},
        {"services": {"notifier": {"replicas": -1, "port": 1}}},
        {"terminationGracePeriodSeconds": 5},
        {"colour": "blue"},
        {"monitoring": True},
        {"monitoring": {"dashboards": True}},
        {"monitoring": {"runbookBase": "docs/runbooks"}},
        {"monitoring": {"runbookBase": "https://docs.example/ # ours"}},
        {"tracing": {"endpoint": "collector:4318"}},
        {"public": {"trustedProxies": -1}},
        {"settings": {"KVITTERA_BRAND": "Nordposten"}},
        {"image": {"pullSecrets": "registry-login"}},
        {"networkPolicy": {"egress": {"to": []}}},
        {"networkPolicy": {"ingress": {"from": []}}},
        {"keda": {"settleSeconds": 3601}},
        {"jobs": {"audit": {"enabled": "no"}}},
        {"jobs": {"retention": {"enabled": False}}},
    ],
)
def test_wrong_values_are_refused_before_anything_is_rendered(chart: helm.Chart, wrong: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmError):
        chart.validate_schema(chart.merge_values(wrong))
