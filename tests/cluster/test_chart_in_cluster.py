"""The chart in a real cluster: installed as the guide says, killed, upgraded, proven, and taken away.

Run with `make test-cluster`. `TEST_CLUSTER` names the context of kubectl to use, so that nothing is installed
where nobody meant it; the cluster needs the image (`TEST_IMAGE`) and those of tests/cluster/servers.yaml.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.compose_project import until
from tests.conftest import SEALING_KEY

NAMESPACE: Final = "kvittera-test"
SERVICES: Final = ("notifier", "survey", "aggregator")
SERVERS: Final = Path(__file__).with_name("servers.yaml")
POLICIES: Final = Path("services/demo/policies")
DSN: Final = "postgresql://kvittera:kvittera@postgres:5432/kvittera"
VALUES: Final = {
    "kafka": {"bootstrap": "kafka-bootstrap:9092", "replication": 1},
    "public": {"url": "http://post-survey:8602", "ingress": {"enabled": False}},
    "policies": "any-hour",
    "networkPolicy": {"kafkaNamespace": NAMESPACE, "postgresNamespace": NAMESPACE},
    "services": {s: {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}} for s in SERVICES},
}
"""One small machine carries it all, and people are asked at night."""

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Calls kubectl and helm in one context, in a namespace that is made for the test and deleted behind it."""

    context: str
    folder: Path
    values: Path

    def kubectl(self, *words: str, seconds: float = 120, given: str | None = None) -> str:
        """What a command prints; it must succeed."""
        done = self.tried(*words, seconds=seconds, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
        return done.stdout

    def tried(self, *words: str, seconds: float = 120, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command that may fail."""
        where = ("kubectl", "--context", self.context, "--namespace", NAMESPACE)
        return subprocess.run(
            [*where, *words], input=given, capture_output=True, text=True, timeout=seconds, check=False
        )

    def helm(self, *words: str) -> str:
        """What a command prints; it must succeed."""
        where = ("helm", "--kube-context", self.context, "--namespace", NAMESPACE)
        done = subprocess.run(
            [*where, *words], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def set_up(self, verb: str, **settings: str) -> None:
        """Install or upgrade, and wait until the tables are migrated and every service is rolled out."""
        changed = [word for name, text in settings.items() for word in ("--set-string", f"settings.{name}={text}")]
        words = (verb, "post", "deploy/helm/kvittera", "--values", str(self.values), "--output", "json")
        number = json.loads(self.helm(*words, *changed))["version"]
        jobs = (f"job/post-topics-{number}", f"job/post-migrate-{number}")
        self.kubectl("wait", "--for=condition=complete", "--timeout=180s", *jobs, seconds=200)
        for service in SERVICES:
            self.kubectl("rollout", "status", f"deploy/post-{service}", "--timeout=180s", seconds=200)

    def run(self, name: str, *words: str, seconds: int = 180) -> str:
        """What a command of the image prints, in a pod of its own as the chart makes them; it must succeed."""
        job: dict[str, Any] = json.loads(self.kubectl("get", "cronjob", "post-retention", "-o", "json"))
        spec = job["spec"]["jobTemplate"]["spec"]
        spec["template"]["spec"]["containers"][0]["args"] = list(words)
        made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
        self.kubectl("create", "--filename", "-", given=json.dumps(made))
        return self.finished(name, seconds)

    def finished(self, job: str, seconds: float = 180) -> str:
        """What a job printed; it must succeed."""
        asked = ("get", f"job/{job}", "-o", "jsonpath={.status.conditions[*].type}")
        until(
            lambda: not {"Complete", "Failed"}.isdisjoint(self.kubectl(*asked).split()), f"{job} ends", seconds=seconds
        )
        said = self.kubectl("logs", f"job/{job}", "--tail=60")
        assert "Complete" in self.kubectl(*asked), said
        self.kubectl("delete", "job", job)
        return said

    def pods(self, service: str) -> list[str]:
        """The names of a service's pods."""
        chosen = f"app.kubernetes.io/component={service}"
        return self.kubectl("get", "pods", "-l", chosen, "-o", "name").split()


@pytest.fixture(scope="module")
def cluster(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The chart, installed beside a Kafka and a PostgreSQL of the test's own."""
    context = os.environ.get("TEST_CLUSTER")
    if context is None:
        pytest.skip("set TEST_CLUSTER to a context of kubectl whose cluster may be used")
    for tool in ("kubectl", "helm"):
        assert shutil.which(tool), f"install {tool}"
    image, _, tag = os.environ.get("TEST_IMAGE", "kvittera:0.1.0").rpartition(":")
    values = tmp_path_factory.mktemp("cluster") / "values.yaml"
    values.write_text(json.dumps({**VALUES, "image": {"repository": image, "tag": tag}}), encoding="utf-8")
    found = Cluster(context, repository, values)
    try:
        found.kubectl("create", "namespace", NAMESPACE)
        found.kubectl("apply", "--filename", str(SERVERS))
        secrets = (f"--from-literal=postgres-dsn={DSN}", f"--from-literal=sealing-key={SEALING_KEY}")
        found.kubectl("create", "secret", "generic", "kvittera", *secrets)
        found.kubectl("create", "configmap", "any-hour", f"--from-file={repository / POLICIES}")
        for name in ("kafka", "postgres"):
            found.kubectl("rollout", "status", f"statefulset/{name}", "--timeout=180s", seconds=200)
        found.set_up("install")
        yield found
    finally:
        found.tried("delete", "namespace", NAMESPACE, "--ignore-not-found", seconds=300)


@contextmanager
def load(cluster: Cluster, name: str, seconds: int) -> Iterator[None]:
    """Deliveries and answers meanwhile; fails unless every one of them is decided, sent, answered and counted."""
    words = ("load", "--rate", "10", "--seconds", str(seconds), "--settle", "120", "--not-loopback")
    with ThreadPoolExecutor() as threads:
        driven = threads.submit(cluster.run, name, *words, seconds=seconds + 180)
        yield
        assert "NOT COMPLETE" not in driven.result()


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
        cluster.set_up("upgrade", HELP_PHONE="08-465 004 11")
    cluster.run("audit-upgraded", "audit", "--wait", "60")
    assert before.isdisjoint(pod for service in SERVICES for pod in cluster.pods(service))


@pytest.mark.parametrize("name", ["retention", "audit"])
def test_what_runs_by_the_clock_succeeds(cluster: Cluster, name: str) -> None:
    cluster.kubectl("create", "job", f"now-{name}", f"--from=cronjob/post-{name}")
    cluster.finished(f"now-{name}")


def test_what_is_taken_away_leaves_nothing_but_what_was_there_before(cluster: Cluster) -> None:
    cluster.helm("uninstall", "post", "--wait")
    for label in ("app.kubernetes.io/instance=post", "owner=helm"):
        kinds = "all,pdb,networkpolicy,cronjob,configmap,secret"
        asked = ("get", kinds, "-l", label, "-o", "name")
        until(partial(lambda *words: cluster.kubectl(*words) == "", *asked), f"nothing is {label}")
    assert "secret/kvittera" in cluster.kubectl("get", "secret", "-o", "name")
