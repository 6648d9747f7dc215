"""The compose files with encryption really run: deliveries go round, and whoever speaks openly is refused.

Needs Docker and a PostgreSQL that can encrypt, as the official image can. Where the local `postgres:18` cannot,
`KVITTERA_TEST_POSTGRES_IMAGE` names another image of PostgreSQL 18 for this test. Run with `make test-compose`.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.compose_project import Project, needs_docker, running, until

IMAGE: Final = os.environ.get("KVITTERA_TEST_POSTGRES_IMAGE", "postgres:18")
FILES: Final = ("docker-compose.yml", "docker-compose.secured.yml")


def can_encrypt(image: str) -> bool:
    """Whether PostgreSQL in this image was built with OpenSSL: without it, its default ciphers are "none"."""
    command = ["docker", "run", "--rm", image, "postgres", "--describe-config"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    [ciphers] = [line for line in told.splitlines() if line.startswith("ssl_ciphers\t")]
    return "\tnone\t" not in ciphers


@pytest.fixture(scope="module")
def compose(
    request: pytest.FixtureRequest, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The whole system with encrypted connections."""
    needs_docker(request)
    if not can_encrypt(IMAGE):
        pytest.skip(f"PostgreSQL of {IMAGE} was built without encryption: set KVITTERA_TEST_POSTGRES_IMAGE")
    chosen = tmp_path_factory.mktemp("compose") / "image.yml"
    chosen.write_text(f"services: {{postgres: {{image: '{IMAGE}'}}}}\n", encoding="utf-8")
    with running(Project(repository, (*FILES, chosen))) as project:
        yield project


@pytest.mark.timeout(900)
def test_deliveries_go_round_and_every_connection_to_both_servers_is_encrypted(compose: Project) -> None:
    until(lambda: compose.answers() > 20, "answers are counted", seconds=120)
    open_or_weak = compose.rows(
        "SELECT usename, client_addr, version FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
        " WHERE client_addr IS NOT NULL AND (NOT ssl OR version <> 'TLSv1.3')"
    )
    [connected] = compose.rows("SELECT count(*) FROM pg_stat_ssl WHERE ssl")
    listening = compose("exec", "--no-TTY", "kafka", "cat", "/proc/net/tcp", "/proc/net/tcp6")

    assert open_or_weak == []
    assert int(connected) >= 3
    assert not accepts_outside(listening, 9092)
    assert accepts_outside(listening, 9094)
    assert compose.prove() > 20


def accepts_outside(table: str, port: int) -> bool:
    """Whether Linux's table of sockets has one that listens at this port on more than loopback."""
    local = [line.split()[1] for line in table.splitlines() if " 0A " in line]
    addresses = [address for address, _, at in (one.partition(":") for one in local) if int(at, 16) == port]
    return any(not address.endswith(("0100007F", "01000000")) for address in addresses)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("command", "variables", "said"),
    [
        (("topics", "check"), {"KVITTERA_KAFKA_SECURITY": "plaintext"}, "Kafka cannot be reached"),
        (("topics", "check"), {"KVITTERA_KAFKA_USERNAME": "somebody"}, "Kafka"),
        (("migrate",), {"PGSSLMODE": "disable"}, "InvalidAuthorizationSpecificationError"),
        (("migrate",), {"PGSSLROOTCERT": "/etc/ssl/certs/ca-certificates.crt"}, "SSLCertVerificationError"),
    ],
    ids=["Kafka openly", "Kafka by another name", "PostgreSQL openly", "PostgreSQL of another authority"],
)
def test_neither_server_is_spoken_to_otherwise(
    compose: Project, command: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    tried = compose.tried(
        "run", "--rm", "--no-deps", *given, "--env=KVITTERA_BOOT_PATIENCE_SECONDS=3", "notifier", *command
    )
    assert tried.returncode == 2
    assert said in tried.stderr
