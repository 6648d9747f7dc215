"""A real Prometheus that holds what services show at /metrics, as if it had asked them twice, half a minute apart."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.embedded.ports import free_port

_BETWEEN_SECONDS = 30
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Answers queries as of the moment of the second look."""

    url: str
    at: int

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives; `HTTPError` when it is none."""
        words = urllib.parse.urlencode({"query": expression, "time": self.at})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{words}", timeout=60) as reply:
            found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
        return found


def needs_prometheus() -> None:
    """Skip where Prometheus is not installed; fail where checks of all run."""
    if shutil.which("promtool") and shutil.which("prometheus"):
        return
    missing = "no promtool: install prometheus"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def holding(shown: Mapping[str, str], folder: Path) -> Iterator[Prometheus]:
    """A Prometheus with what each service showed; counters were nothing at the first look."""
    at = int(time.time()) - _BETWEEN_SECONDS
    (folder / "shown").write_text(_looked_at_twice(shown, at), encoding="utf-8")
    words = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "shown"), str(folder / "data")]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    (folder / "prometheus.yml").write_text("{}\n", encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={url.removeprefix('http://')}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(url)
        yield Prometheus(url, at)
    finally:
        process.terminate()
        process.wait(30)


def _looked_at_twice(shown: Mapping[str, str], at: int) -> str:
    """All samples in the form of OpenMetrics, with the labels that deploy/prometheus/prometheus.yml adds."""
    samples: dict[str, list[tuple[str, dict[str, str], float, float]]] = {}
    for service, text in shown.items():
        samples[f"up|{service}"] = [("up", {}, 1, 1)]
        for family in text_string_to_metric_families(text):
            for name, labels, value, *_ in family.samples:
                first = value if family.type == "gauge" else 0.0
                samples.setdefault(f"{name}|{service}", []).append((name, labels, first, value))
    lines = []
    for key in sorted(samples):
        service = key.rpartition("|")[2]
        for name, labels, first, second in samples[key]:
            every = {**labels, "job": "kvittera", "service": service, "instance": f"{service}:1"}
            told = ",".join(f"{label}={json.dumps(text)}" for label, text in every.items())
            lines += [f"{name}{{{told}}} {first} {at - _BETWEEN_SECONDS}", f"{name}{{{told}}} {second} {at}"]
    return "\n".join([*lines, "# EOF\n"])


def _wait_for(url: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except OSError:
            assert time.monotonic() < end, f"Prometheus did not start within {_START_SECONDS} s"
            time.sleep(0.1)
