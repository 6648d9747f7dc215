"""Who reaches whom where the cluster enforces network policies; skipped where it does not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.compose_project import until
from tests.in_cluster import AS_INGRESS, ELSEWHERE, KAFKA, MONITORING, NAMESPACE, POSTGRES, SERVICES, Cluster

PORTS: Final = {"notifier": 8601, "survey": 8602, "aggregator": 8603}
PREPARATION: Final = {"app.kubernetes.io/instance": "post", "app.kubernetes.io/component": "preparation"}

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the chart's pods may go, or not: a stand-in for what is outside, and one beside PostgreSQL."""

    outside: str
    beside_postgres: str


def policy(name: str, spec: dict[str, object]) -> str:
    """A NetworkPolicy as kubectl takes it."""
    made = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}
    return json.dumps(made)


@pytest.fixture(scope="module")
def places(cluster: Cluster) -> Iterator[Places]:
    """Pods of strangers; skips where a policy that lets nobody in changes nothing."""
    barred = cluster.idle_pod("barred", ELSEWHERE, {"app": "barred"}, (8443,))
    cluster.idle_pod("stranger", ELSEWHERE, {"app": "stranger"})
    assert cluster.reaches("stranger", barred, 8443, within=ELSEWHERE)
    nobody = policy("nobody", {"podSelector": {"matchLabels": {"app": "barred"}}, "policyTypes": ["Ingress"]})
    cluster.kubectl("apply", "--filename", "-", given=nobody, within=ELSEWHERE)
    try:
        until(lambda: not cluster.reaches("stranger", barred, 8443, within=ELSEWHERE), "policies hold", seconds=30)
    except AssertionError:
        pytest.skip("this cluster's network enforces no policies")
    for name, within, labels in (
        ("controller", ELSEWHERE, AS_INGRESS),
        ("other-controller", ELSEWHERE, {"app.kubernetes.io/component": "controller"}),
        ("stranger", NAMESPACE, {"app": "stranger"}),
        ("preparation", NAMESPACE, PREPARATION),
        ("stranger", MONITORING, {"app": "stranger"}),
    ):
        cluster.idle_pod(name, within, labels)
    outside = cluster.idle_pod("outside", ELSEWHERE, {"app": "outside"}, (443, 587, 8443))
    yield Places(outside, cluster.idle_pod("beside", POSTGRES, {"app": "beside"}, (6543,)))
    cluster.kubectl("delete", "pod/preparation")


def service_pod(cluster: Cluster, service: str) -> str:
    """The name of one of its pods."""
    return cluster.pods(service)[0].removeprefix("pod/")


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("service", SERVICES)
def test_only_the_ingress_controller_and_the_monitoring_reach_a_service(cluster: Cluster, service: str) -> None:
    host, port = f"post-{service}.{NAMESPACE}.svc", PORTS[service]
    found = {
        f"{within}/{pod}": cluster.reaches(pod, host, port, within=within)
        for within, pod in (
            (ELSEWHERE, "controller"),
            (MONITORING, "stranger"),
            (ELSEWHERE, "other-controller"),
            (ELSEWHERE, "stranger"),
            (NAMESPACE, "stranger"),
            (NAMESPACE, "preparation"),
        )
    }
    assert found == {
        "kvittera-test-elsewhere/controller": True,
        "kvittera-test-monitoring/stranger": True,
        "kvittera-test-elsewhere/other-controller": False,
        "kvittera-test-elsewhere/stranger": False,
        "kvittera-test/stranger": False,
        "kvittera-test/preparation": False,
    }
    others = [other for other in SERVICES if other != service]
    assert not any(cluster.reaches(service_pod(cluster, other), host, port) for other in others)


@pytest.mark.parametrize(
    ("who", "out"), [("notifier", True), ("survey", True), ("aggregator", False), ("preparation", False)]
)
def test_a_pod_reaches_its_servers_and_what_the_values_open_and_nothing_else(
    cluster: Cluster, places: Places, who: str, *, out: bool
) -> None:
    pod = who if who == "preparation" else service_pod(cluster, who)
    assert cluster.reaches(pod, f"kafka-bootstrap.{KAFKA}.svc", 9092)
    assert cluster.reaches(pod, f"postgres.{POSTGRES}.svc", 5432)
    assert cluster.reaches("stranger", places.beside_postgres, 6543, within=ELSEWHERE)
    assert not cluster.reaches(pod, places.beside_postgres, 6543)
    for port, reached in ((443, out), (587, out), (8443, False)):
        assert cluster.reaches("stranger", places.outside, port, within=ELSEWHERE)
        assert cluster.reaches(pod, places.outside, port) is reached, port


def test_the_values_open_further_ways_in_and_out(cluster: Cluster, places: Places) -> None:
    there = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ELSEWHERE}}}]
    opened = {"egress": [{"to": there, "ports": [{"port": 8443}]}], "ingress": [{"from": there}]}
    cluster.set_up("upgrade", **{f"networkPolicy.{name}": rules for name, rules in opened.items()})
    aggregator = service_pod(cluster, "aggregator")
    until(lambda: cluster.reaches(aggregator, places.outside, 8443), "the way out is open", seconds=30)
    assert not cluster.reaches(aggregator, places.outside, 443)
    assert cluster.reaches("stranger", f"post-notifier.{NAMESPACE}.svc", 8601, within=ELSEWHERE)
    cluster.set_up("upgrade")
    until(lambda: not cluster.reaches(aggregator, places.outside, 8443), "the way out is shut", seconds=30)
