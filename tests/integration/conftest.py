"""What several modules look at, or break."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.certificates import Authority
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.doctor import reach
from services.embedded.kafka import EmbeddedKafka
from services.survey.recipient.http import SurveyRoutes
from tests.doctor_kit import Secured
from tests.survey_app import survey


@pytest.fixture
def app(pool: Pool, settings: Settings) -> SurveyRoutes:
    """The recipient's pages on the module's tables; modules about other pages have an `app` of their own."""
    return survey(pool, settings)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of the test's own, to be killed and started again."""
    kafka = EmbeddedKafka(tmp_path, heap="256m")
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secured:
    """Makes a server's side of encryption; this machine trusts the authority of all but strangers."""

    def made(name: str = "localhost", *, now: datetime | None = None, stranger: bool = False) -> ssl.SSLContext:
        authority = Authority.new(now or datetime.now(UTC))
        pair = authority.server([name])
        file, trusted = tmp_path / "server.pem", tmp_path / "trusted.pem"
        file.write_text(pair.certificate + pair.key)
        trusted.write_text(Authority.new(datetime.now(UTC)).pem if stranger else authority.pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    return made


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for four seconds for what does not come."""
    monkeypatch.setattr(reach, "SECONDS", 0.5)


@pytest.fixture
async def silent(hurried: None) -> AsyncIterator[int]:  # noqa: ARG001  it must be over soon
    """A server that takes connections and says nothing."""
    over = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    over.set()
    server.close()
    await asyncio.sleep(0)
