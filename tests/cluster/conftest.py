"""One installation of the chart for all tests of this folder; the last of them takes it away."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import SEALING_KEY
from tests.in_cluster import KAFKA, MONITORING, NAMESPACES, POSTGRES, SERVICES, Cluster

POLICIES: Final = Path("services/demo/policies")
DSN: Final = f"postgresql://kvittera:kvittera@postgres.{POSTGRES}.svc:5432/kvittera"
VALUES: Final = {
    "kafka": {"bootstrap": f"kafka-bootstrap.{KAFKA}.svc:9092", "replication": 1},
    "public": {"url": "http://post-survey:8602", "ingress": {"enabled": False}},
    "policies": "any-hour",
    "networkPolicy": {"kafkaNamespace": KAFKA, "postgresNamespace": POSTGRES, "monitoringNamespace": MONITORING},
    "services": {s: {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}} for s in SERVICES},
}
"""One small machine carries it all, and people are asked at night."""


@pytest.fixture(scope="session")
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
        for namespace in NAMESPACES:
            found.kubectl("create", "namespace", namespace)
        found.kubectl("apply", "--filename", str(Path(__file__).with_name("kafka.yaml")), within=KAFKA)
        found.kubectl("apply", "--filename", str(Path(__file__).with_name("postgres.yaml")), within=POSTGRES)
        secrets = (f"--from-literal=postgres-dsn={DSN}", f"--from-literal=sealing-key={SEALING_KEY}")
        found.kubectl("create", "secret", "generic", "kvittera", *secrets)
        found.kubectl("create", "configmap", "any-hour", f"--from-file={repository / POLICIES}")
        for name, namespace in (("kafka", KAFKA), ("postgres", POSTGRES)):
            waited = ("rollout", "status", f"statefulset/{name}", "--timeout=180s")
            found.kubectl(*waited, seconds=200, within=namespace)
        found.set_up("install")
        yield found
    finally:
        found.tried("delete", "namespace", *NAMESPACES, "--ignore-not-found", seconds=300)
