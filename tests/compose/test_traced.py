"""Traces in containers: the collector of the profile "observability" takes whole ways from delivery to counter.

Needs Docker and the collector's image; run with `make test-compose`.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.compose_project import Project, needs_docker, running, until

COLLECTOR: Final = "otel/opentelemetry-collector:0.140.0"
TRACED: Final = {"KVITTERA_OTLP_ENDPOINT": "http://collector:4318", "KVITTERA_TRACE_SHARE": "1"}
TELLING: Final = (
    "services: {collector: {command: ['--config=/etc/otel/collector.yml',"
    " '--config=yaml:exporters::debug::verbosity: detailed']}}\n"
)
"""The collector's own file, but each span is told in its log."""


def can_be_had(image: str) -> bool:
    """Whether an image is here, or can be pulled."""
    here = subprocess.run(["docker", "image", "inspect", image], capture_output=True, timeout=60, check=False)
    if here.returncode == 0:
        return True
    return subprocess.run(["docker", "pull", image], capture_output=True, timeout=300, check=False).returncode == 0


@pytest.fixture(scope="module")
def compose(
    request: pytest.FixtureRequest, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The whole system, telling every trace to the collector."""
    needs_docker(request)
    if not can_be_had(COLLECTOR):
        pytest.skip(f"no image {COLLECTOR}")
    telling = tmp_path_factory.mktemp("compose") / "telling.yml"
    telling.write_text(TELLING, encoding="utf-8")
    with running(Project(repository, ("docker-compose.yml", telling), TRACED)) as project:
        project.up("collector")
        yield project


def spans(log: str) -> dict[str, set[str]]:
    """The names of the spans of each trace, from the collector's log."""
    found: dict[str, set[str]] = {}
    for trace, name in re.findall(r"Trace ID\s+: ([0-9a-f]{32})\n(?:.*\n){2,3}?.*Name\s+: (.+)", log):
        found.setdefault(trace, set()).add(name.strip())
    return found


@pytest.mark.timeout(900)
def test_the_collector_gets_whole_ways_from_delivery_to_counter_and_nothing_of_a_person(compose: Project) -> None:
    way = {
        "notifier: delivery.completed.v1",
        "survey: invitation.decided.v1",
        "aggregator: invitation.decided.v1",
        "notifier: send",
        "survey: POST /r/{token}",
        "aggregator: response.recorded.v1",
    }

    def log() -> str:
        return compose("logs", "--no-log-prefix", "collector")

    until(lambda: any(names >= way for names in spans(log()).values()), "a whole way is told", seconds=120)
    told = "\n".join(line for line in log().splitlines() if re.match(r"\s+(->|Name\s+:)", line))
    assert set(re.findall(r"-> ([\w.]+): \w+\(", told)) >= {"messaging.destination.name", "service.name"}
    assert not re.search(r"@|/r/(?!\{token\})|url\.|client\.address", told)
