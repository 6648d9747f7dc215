"""Certificates of the installation's own authority: for the servers they name, and for nobody else."""

import errno
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from typer.testing import CliRunner

from services.certificates import Authority
from services.cli import app
from tests.builders import NOON

AUTHORITY = Authority.new(NOON)


def verify(certificate: str, host: str, authority: Authority = AUTHORITY, after: timedelta = timedelta()) -> None:
    """What a client does that follows the rules of the web."""
    store = Store(x509.load_pem_x509_certificates(authority.pem.encode()))
    verifier = PolicyBuilder().store(store).time(NOON + after).build_server_verifier(x509.DNSName(host))
    verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])


def test_a_server_is_trusted_by_its_names_while_its_certificate_is_valid() -> None:
    broker = AUTHORITY.server(["kafka", "kafka-1.example"]).certificate
    verify(broker, "kafka")
    verify(broker, "kafka-1.example", after=timedelta(days=824))
    with pytest.raises(VerificationError):
        verify(broker, "postgres")
    with pytest.raises(VerificationError):
        verify(broker, "kafka", after=timedelta(days=826))
    with pytest.raises(VerificationError):
        verify(broker, "kafka", Authority.new(NOON))


def test_clients_get_no_key_and_what_was_made_is_kept(tmp_path: Path) -> None:
    clients, servers = tmp_path / "clients", tmp_path / "servers"
    command = ["certificates", str(clients), str(servers), "--kafka", "broker.example"]
    assert CliRunner().invoke(app, command).exit_code == 0
    made = {path: path.read_text() for folder in (clients, servers) for path in folder.iterdir()}
    again = CliRunner().invoke(app, command)

    assert again.exit_code == 0
    assert "is there and kept" in again.output
    assert {path: path.read_text() for path in made} == made
    assert sorted(path.name for path in clients.iterdir()) == ["ca.pem", "kafka-password"]
    assert not any("PRIVATE KEY" in path.read_text() for path in clients.iterdir())
    password = (clients / "kafka-password").read_text()
    assert (servers / "kafka-users.properties").read_text() == f"kvittera={password}\n"


def test_certificates_that_were_broken_off_are_made_anew_to_the_authority_that_clients_get(tmp_path: Path) -> None:
    clients, servers = tmp_path / "clients", tmp_path / "servers"
    command = ["certificates", str(clients), str(servers)]
    for lacking in ({"ca.pem"}, {"ca.pem", "postgres.crt"}, {"ca.pem", "postgres.crt", "postgres.key", "kafka.pem"}):
        assert CliRunner().invoke(app, command).exit_code == 0
        password = (clients / "kafka-password").read_text()
        for path in [*clients.iterdir(), *servers.iterdir()]:
            if path.name in lacking:
                path.unlink()

        assert CliRunner().invoke(app, command).exit_code == 0

        authority = Store(x509.load_pem_x509_certificates((clients / "ca.pem").read_bytes()))
        broker, database = (servers / name for name in ("kafka.pem", "postgres.crt"))
        for path, key, host in ((broker, broker, "kafka"), (database, servers / "postgres.key", "postgres")):
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            PolicyBuilder().store(authority).build_server_verifier(x509.DNSName(host)).verify(certificate, [])
            signs = serialization.load_pem_private_key(key.read_bytes(), None)
            assert signs.public_key() == certificate.public_key()
        assert (clients / "kafka-password").read_text() == password


def test_a_full_disk_leaves_no_empty_secret_to_be_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services", "secrets", str(tmp_path / "made")]
    full = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command], capture_output=True, timeout=60, check=False
    )
    assert b"File too large" in full.stderr
    assert list((tmp_path / "made").iterdir()) == []

    assert CliRunner().invoke(app, ["secrets", str(tmp_path / "made")]).exit_code == 0
    assert len((tmp_path / "made" / "postgres-password").read_text()) == 32
    assert len((tmp_path / "made" / "sealing-key").read_text()) == 64


@pytest.mark.parametrize("why", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_secrets_are_made_and_kept_where_the_file_system_knows_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr(os, "link", refused)
    assert CliRunner().invoke(app, ["secrets", str(tmp_path)]).exit_code == 0
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(made) == ["postgres-dsn", "postgres-password", "sealing-key"]
    assert len(made["sealing-key"]) == 64

    assert CliRunner().invoke(app, ["secrets", str(tmp_path)]).exit_code == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == made
