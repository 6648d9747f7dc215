"""The chart in a real cluster, beside servers of the test's own, in namespaces that are made and deleted for it."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.compose_project import until

NAMESPACE: Final = "kvittera-test"
KAFKA: Final = f"{NAMESPACE}-kafka"
POSTGRES: Final = f"{NAMESPACE}-postgres"
MONITORING: Final = f"{NAMESPACE}-monitoring"
ELSEWHERE: Final = f"{NAMESPACE}-elsewhere"
NAMESPACES: Final = (NAMESPACE, KAFKA, POSTGRES, MONITORING, ELSEWHERE)
SERVICES: Final = ("notifier", "survey", "aggregator")
AS_INGRESS: Final = {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}
"""The labels that the chart knows an ingress controller by."""

_CONNECT: Final = """
import socket, sys
address = socket.getaddrinfo(*sys.argv[1:], socket.AF_INET)[0][4]
try:
    socket.create_connection(address, 3).close()
    print("reached")
except OSError:
    print("kept out")
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Calls kubectl and helm in one context, in the namespace of the release `post` unless another one is named."""

    context: str
    folder: Path
    values: Path

    def kubectl(self, *words: str, seconds: float = 120, given: str | None = None, within: str = NAMESPACE) -> str:
        """What a command prints; it must succeed."""
        done = self.tried(*words, seconds=seconds, given=given, within=within)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
        return done.stdout

    def tried(
        self, *words: str, seconds: float = 120, given: str | None = None, within: str = NAMESPACE
    ) -> subprocess.CompletedProcess[str]:
        """A command that may fail."""
        where = ("kubectl", "--context", self.context, "--namespace", within)
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

    def set_up(self, verb: str, **changed: Any) -> None:
        """Install or upgrade with some values changed; wait until tables are migrated and every service is there."""
        words = (verb, "post", "deploy/helm/kvittera", "--values", str(self.values), "--output", "json")
        more = [word for name, value in changed.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
        number = json.loads(self.helm(*words, *more))["version"]
        jobs = (f"job/post-topics-{number}", f"job/post-migrate-{number}")
        self.kubectl("wait", "--for=condition=complete", "--timeout=180s", *jobs, seconds=200)
        for service in SERVICES:
            self.kubectl("rollout", "status", f"deploy/post-{service}", "--timeout=180s", seconds=200)

    def run(self, name: str, *words: str, seconds: int = 180, labels: Mapping[str, str] | None = None) -> str:
        """What a command of the image prints, in a pod of its own as the chart makes them; it must succeed.

        With `labels` the pod has these and none of the chart's.
        """
        job: dict[str, Any] = json.loads(self.kubectl("get", "cronjob", "post-retention", "-o", "json"))
        spec = job["spec"]["jobTemplate"]["spec"]
        spec["template"]["spec"]["containers"][0]["args"] = list(words)
        if labels is not None:
            spec["template"]["metadata"]["labels"] = dict(labels)
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

    def idle_pod(self, name: str, within: str, labels: Mapping[str, str], listens: tuple[int, ...] = ()) -> str:
        """A pod of the image that takes connections at some ports and does nothing else; its address."""
        image = ":".join(yaml.safe_load(self.values.read_text(encoding="utf-8"))["image"].values())
        program = "import socket, signal; held = [socket.create_server(('', p)) for p in PORTS]; signal.pause()"
        container = {
            "name": "idle",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", program.replace("PORTS", repr(listens))],
        }
        # Ports below 1024 are for root alone in some runtimes.
        lowered = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}
        spec = {"containers": [container], "securityContext": lowered, "terminationGracePeriodSeconds": 0}
        made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": dict(labels)}, "spec": spec}
        self.kubectl("apply", "--filename", "-", given=json.dumps(made), within=within)
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=100s", within=within)
        return self.kubectl("get", f"pod/{name}", "-o", "jsonpath={.status.podIP}", within=within)

    def reaches(self, pod: str, host: str, port: int, within: str = NAMESPACE) -> bool:
        """Whether a pod that has Python gets a connection within three seconds."""
        told = self.kubectl("exec", pod, "--", "python", "-c", _CONNECT, host, str(port), within=within).strip()
        assert told in {"reached", "kept out"}, told
        return told == "reached"


@contextmanager
def load(cluster: Cluster, name: str, seconds: int) -> Iterator[None]:
    """Deliveries and answers meanwhile; fails unless every one of them is decided, sent, answered and counted.

    Recipients come as people do, from where the ingress controller is.
    """
    words = ("load", "--rate", "10", "--seconds", str(seconds), "--settle", "120", "--not-loopback")
    with ThreadPoolExecutor() as threads:
        driven = threads.submit(cluster.run, name, *words, seconds=seconds + 180, labels=AS_INGRESS)
        yield
        assert "NOT COMPLETE" not in driven.result()
