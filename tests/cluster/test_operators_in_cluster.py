"""What the Prometheus operator and KEDA make of the chart's objects; skipped in a cluster that does not have them.

`TEST_PROMETHEUS` names a version of Prometheus that the cluster has, where it is not the one the operator takes.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.compose_project import until
from tests.in_cluster import AS_INGRESS, MONITORING, NAMESPACE, POSTGRES, SERVICES, Cluster, load

PODS: Final = 2
"""Of each service, by the chart's values."""
MOST: Final = 4
WATCHED: Final = {"monitoring": {"enabled": True, "labels": {"release": "test"}}}
SCALED: Final = {
    **WATCHED,
    "keda": {
        "enabled": True,
        "most": MOST,
        "prometheus": f"http://prometheus-operated.{MONITORING}.svc:9090",
        "lag": {"notifier": 1_000_000, "aggregator": 20},
        "dueInvitations": 20,
        "settleSeconds": 15,
    },
    # Longer than counting is held up below.
    "settings": {"STALL_SECONDS": 600},
}
_AS_HOLDER: Final = ("exec", "postgres-0", "--", "psql", "-U", "kvittera", "-h", "127.0.0.1")

Asked = Callable[[str], Any]

pytestmark = pytest.mark.timeout(900)


def needed(cluster: Cluster, kind: str) -> None:
    """Skip in a cluster that does not know a kind."""
    if cluster.tried("get", "crd", kind).returncode != 0:
        pytest.skip(f"this cluster has no {kind}")


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster) -> Asked:
    """Asks the API of a Prometheus that the operator runs, which watches the chart."""
    needed(cluster, "podmonitors.monitoring.coreos.com")
    cluster.kubectl("create", "role", "prometheus", "--verb=get,list,watch", "--resource=pods")
    bound = ("--role=prometheus", f"--serviceaccount={MONITORING}:prometheus")
    cluster.kubectl("create", "rolebinding", "prometheus", *bound)
    account, server = yaml.safe_load_all(Path(__file__).with_name("prometheus.yaml").read_text(encoding="utf-8"))
    if version := os.environ.get("TEST_PROMETHEUS"):
        server["spec"]["version"] = version
    for thing in (account, server):
        cluster.kubectl("apply", "--filename", "-", given=json.dumps(thing), within=MONITORING)
    cluster.set_up("upgrade", **WATCHED)
    ready = ("wait", "--for=condition=Available", "prometheus/test", "--timeout=180s")
    cluster.kubectl(*ready, seconds=200, within=MONITORING)
    at = f"/api/v1/namespaces/{MONITORING}/services/prometheus-operated:9090/proxy/api/v1/"
    return lambda path: json.loads(cluster.kubectl("get", "--raw", f"{at}{path}"))["data"]


def test_every_process_is_a_target_that_is_up_and_has_the_labels_that_are_asked_for(prometheus: Asked) -> None:
    def up() -> Counter[tuple[str, str, str]]:
        active = [t for t in prometheus("targets?state=active")["activeTargets"] if t["health"] == "up"]
        return Counter((t["labels"]["job"], t["labels"]["namespace"], t["labels"]["service"]) for t in active)

    expected = {("kvittera", NAMESPACE, service): PODS for service in SERVICES}
    until(lambda: up() == expected, "every process is scraped")


def test_every_rule_is_loaded_and_evaluated(prometheus: Asked, repository: Path) -> None:
    stored = yaml.safe_load((repository / "deploy/prometheus/rules/kvittera.yml").read_text(encoding="utf-8"))
    names = sorted(r.get("alert") or r["record"] for group in stored["groups"] for r in group["rules"])

    def loaded() -> list[tuple[str, str]]:
        return sorted((r["name"], r["health"]) for group in prometheus("rules")["groups"] for r in group["rules"])

    until(lambda: loaded() == [(name, "ok") for name in names], "every rule is evaluated", seconds=150)


@pytest.fixture(scope="module")
def scaled(cluster: Cluster, prometheus: Asked) -> Callable[[str], int]:
    """How many processes of a service there shall be, as KEDA has told the deployment."""
    needed(cluster, "scaledobjects.keda.sh")
    cluster.set_up("upgrade", **SCALED)
    until(lambda: bool(prometheus("query?query=kvittera_requests_due")["result"]), "the numbers are there")
    cluster.kubectl("wait", "--for=condition=Ready", "scaledobject", "--all", "--timeout=120s")
    asked = ("-o", "jsonpath={.spec.replicas}")
    return lambda service: int(cluster.kubectl("get", f"deploy/post-{service}", *asked))


@contextmanager
def held(cluster: Cluster, statement: str) -> Iterator[None]:
    """What the statement locks stays locked meanwhile."""
    held_open = f"BEGIN; {statement}; SELECT pg_sleep(300)"
    as_holder = (*_AS_HOLDER, "-c", "SET application_name = 'holder'", "-c", held_open)
    where = ("kubectl", "--context", cluster.context, "--namespace", POSTGRES)
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holder' AND wait_event = 'PgSleep'"
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'"
    with subprocess.Popen([*where, *as_holder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        try:
            until(lambda: cluster.kubectl(*_AS_HOLDER, "-Atc", asleep, within=POSTGRES).strip() == "1", "it is held")
            yield
        finally:
            cluster.kubectl(*_AS_HOLDER, "-c", ended, within=POSTGRES)


def test_counters_that_are_behind_become_more_and_fewer_again(cluster: Cluster, scaled: Callable[[str], int]) -> None:
    assert scaled("aggregator") == PODS
    with load(cluster, "load-behind", 40), held(cluster, "LOCK TABLE aggregator.answer IN EXCLUSIVE MODE"):
        until(lambda: scaled("aggregator") == MOST, "there are more counters", seconds=120)
    until(lambda: scaled("aggregator") == PODS, "there are as many as before", seconds=180)
    cluster.run("audit-behind", "audit", "--wait", "60")


def test_requests_that_are_due_call_more_notifiers_and_send_them_away_again(
    cluster: Cluster, scaled: Callable[[str], int]
) -> None:
    assert scaled("notifier") == PODS
    cluster.run("pause", "send", "--pause", labels=AS_INGRESS)
    with load(cluster, "load-due", 30):
        due = "SELECT count(*) FROM notifier.open_send WHERE state = 'planned' AND at <= now()"
        until(lambda: int(cluster.kubectl(*_AS_HOLDER, "-Atc", due, within=POSTGRES)) > MOST * 20, "many are due")
        assert scaled("notifier") == PODS, "nothing may leave yet"
        with held(cluster, "SELECT FROM notifier.person_key FOR UPDATE"):
            cluster.run("resume", "send", "--resume", labels=AS_INGRESS)
            until(lambda: scaled("notifier") == MOST, "there are more notifiers", seconds=120)
    until(lambda: scaled("notifier") == PODS, "there are as many as before", seconds=180)
    cluster.run("audit-due", "audit", "--wait", "60")
