"""The health check of the image: right about the service here, and light."""

import socket
import subprocess
import sys
import threading

import pytest
import typer

from services.chassis.settings import Settings
from services.cli.containers import ready
from services.readiness import DEFAULT_PORTS, host_of, is_ready, main, ports_of


def answering(reply: bytes, host: str = "127.0.0.1") -> int:
    """A port where one connection gets this reply."""
    server = socket.create_server((host, 0))

    def answer() -> None:
        with server:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(reply)

    threading.Thread(target=answer, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("reply", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nit was 200 once", False),
        (b"", False),
    ],
)
def test_only_a_200_is_ready(reply: bytes, ready: bool) -> None:
    assert is_ready(answering(reply)) is ready


def test_one_ready_service_is_enough_and_none_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        silent = taken.getsockname()[1]
    assert main([silent, answering(b"HTTP/1.1 200 OK\r\n\r\n")]) == 0
    assert main([silent]) == 1


@pytest.mark.parametrize(
    ("listens", "asked"),
    [
        (None, "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("192.0.2.7", "192.0.2.7"),
    ],
)
def test_a_service_is_asked_at_the_address_that_it_listens_on(listens: str | None, asked: str) -> None:
    assert host_of({} if listens is None else {"KVITTERA_HTTP_HOST": listens}) == asked


def test_a_service_that_listens_elsewhere_is_not_ready_here() -> None:
    port = answering(b"HTTP/1.1 200 OK\r\n\r\n", "127.0.0.2")
    assert not is_ready(port)
    assert main([port], "127.0.0.2") == 0


def test_ports_are_those_of_the_settings() -> None:
    defaults = Settings()
    assert ports_of({}) == [defaults.notifier_port, defaults.survey_port, defaults.aggregator_port]
    assert ports_of({"KVITTERA_SURVEY_PORT": "9000"}) == [8601, 9000, 8603]
    assert list(DEFAULT_PORTS) == ["notifier", "survey", "aggregator"]


def test_it_imports_nothing_but_the_standard_library() -> None:
    code = "import sys, services.readiness; print([m for m in ('typer', 'pydantic', 'asyncio') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_service_that_is_not_ready_is_told_with_the_place_that_was_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("services.readiness.is_ready", lambda port, host: (port, host) == (8602, "127.0.0.1"))
    ready("survey")
    with pytest.raises(typer.Exit) as ended:
        ready("notifier")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().out.startswith("not ready: asked 127.0.0.1:8601. `kvittera doctor` says")
