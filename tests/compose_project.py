"""A run of the compose files under a name of its own."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

SERVICES = ("notifier", "survey", "aggregator")
START_SECONDS = 300
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Project:
    """Calls `docker compose`; `files` come one over the other, `variables` go into them."""

    folder: Path
    files: tuple[Path | str, ...] = ("docker-compose.yml",)
    variables: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str) -> str:
        """What a command prints; it must succeed."""
        done = self.tried(*words)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-2000:]}"
        return done.stdout

    def tried(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that may fail."""
        files = [word for file in self.files for word in ("--file", str(file))]
        return subprocess.run(
            ["docker", "compose", *files, "--project-name", "kvittera-test", *words],
            cwd=self.folder,
            env={**os.environ, "COMPOSE_PROFILES": "demo", **self.variables},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def kill_one_of(self, service: str) -> None:
        """End one container of a service at once."""
        first = self("ps", "--quiet", service).split()[0]
        subprocess.run(["docker", "kill", "--signal", "KILL", first], check=True, capture_output=True, timeout=60)

    def let_die(self, service: str) -> None:
        """End the first process of a service's container as the kernel does where memory is short.

        Not `docker kill`: what a person stops stays stopped, whatever the restart policy says.
        """
        pid = self._inspected(service, "{{.State.Pid}}")
        beside = ("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "python", "kvittera")
        words = ("docker", *beside, "-c", f"import os; os.kill({pid}, 9)")
        subprocess.run(words, check=True, capture_output=True, timeout=60)

    def restarts(self, service: str) -> int:
        """How often Docker started a service's container again by itself."""
        return int(self._inspected(service, "{{.RestartCount}}"))

    def is_healthy(self, service: str) -> bool:
        """Whether the health check of a service's container succeeds."""
        return self._inspected(service, "{{.State.Health.Status}}") == "healthy"

    def _inspected(self, service: str, what: str) -> str:
        container = self("ps", "--all", "--quiet", service).split()[0]
        words = ["docker", "inspect", "--format", what, container]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def up(self, *words: str) -> None:
        """Start what is not there yet, and return when all of it is healthy."""
        done = self.tried("up", "--detach", "--wait", "--wait-timeout", str(START_SECONDS), *words)
        if done.returncode:
            pytest.fail(f"{done.stderr[-500:]}\n{self('logs', '--tail', '8', *SERVICES)}", pytrace=False)

    def rows(self, query: str) -> list[str]:
        """What PostgreSQL answers, a text for each row; asked on the server itself."""
        words = ("psql", "--username=kvittera", "--no-align", "--tuples-only", "--command", query)
        return self("exec", "--no-TTY", "postgres", *words).splitlines()

    def prove(self) -> int:
        """Let what is on its way arrive, and see that nothing is lost or doubled; the number of answers."""
        self("stop", "demo")  # nobody publishes or taps any more
        proof = self("exec", "--no-TTY", "notifier", "kvittera", "audit", "--wait", "60")
        assert proof.startswith("clean: 0 lost, 0 double, 0 differing cells"), proof
        [acknowledged] = re.findall(r"^(\d[\d ,]*) answers acknowledged", proof, re.MULTILINE)
        return int(acknowledged.replace(",", "").replace(" ", ""))

    def answers(self) -> int:
        """How many answers are counted."""
        return int(self.rows("SELECT count(*) FROM aggregator.answer")[0])


@contextmanager
def running(project: Project) -> Iterator[Project]:
    """The system up, and removed at the end with all that it kept."""
    try:
        project.up("--build")
        yield project
    finally:
        whole = replace(project, variables={**project.variables, "COMPOSE_PROFILES": "*"})
        whole("down", "--volumes", "--timeout", "20")


def needs_docker(request: pytest.FixtureRequest) -> None:
    """Skip where the run was not asked to use containers."""
    if request.config.getoption("--servers") != "containers":
        pytest.skip("needs Docker: run `make test-compose`")


def until(holds: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Look until it holds; `what` says what was waited for."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(_LOOK_SECONDS)
