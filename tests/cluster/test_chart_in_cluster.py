"""The chart in a real cluster: installed as the guide says, killed, upgraded, and proven.

Run with `make test-cluster`. `TEST_CLUSTER` names the context of kubectl to use, so that nothing is installed
where nobody meant it; the cluster needs the image (`TEST_IMAGE`) and those of kafka.yaml and postgres.yaml here.
"""

import json

import pytest

from tests.in_cluster import SERVICES, Cluster, load

pytestmark = pytest.mark.timeout(900)


def test_the_guides_commands_find_nothing_ill(cluster: Cluster) -> None:
    findings = json.loads(cluster.run("doctor", "doctor", "--json"))
    assert {f["verdict"] for f in findings} == {"well", "look"}
    assert [f["what"] for f in findings if f["verdict"] == "look"] == [
        "Kafka access",
        "Kafka copies",
        "PostgreSQL copies",
        "PostgreSQL access",
        "link host",
        "staff pages",
    ]


def test_nothing_is_lost_or_counted_twice_while_every_pod_dies(cluster: Cluster) -> None:
    with load(cluster, "load-killed", 30):
        for service in SERVICES:
            for pod in cluster.pods(service):
                cluster.kubectl("delete", pod, "--grace-period=0", "--force")
    cluster.run("audit-killed", "audit", "--wait", "60")


def test_an_upgrade_under_load_loses_nothing_and_no_pod_is_killed_by_its_grace(cluster: Cluster) -> None:
    before = {pod for service in SERVICES for pod in cluster.pods(service)}
    with load(cluster, "load-upgraded", 40):
        cluster.set_up("upgrade", settings={"HELP_PHONE": "08-465 004 11"})
    cluster.run("audit-upgraded", "audit", "--wait", "60")
    assert before.isdisjoint(pod for service in SERVICES for pod in cluster.pods(service))


@pytest.mark.parametrize("name", ["retention", "audit"])
def test_what_runs_by_the_clock_succeeds(cluster: Cluster, name: str) -> None:
    cluster.kubectl("create", "job", f"now-{name}", f"--from=cronjob/post-{name}")
    cluster.finished(f"now-{name}")
