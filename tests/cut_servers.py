"""Servers that are reached directly and, by whom they are to be cut off from, by a line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from services.embedded.kafka import EmbeddedKafka
from services.embedded.ports import free_port
from tests.network import Line, line


@dataclass(frozen=True, slots=True)
class Broker:
    """Kafka, reached directly and by a line."""

    kafka: EmbeddedKafka
    line: Line

    @property
    def by_line(self) -> str:
        """The address for clients that can be cut off."""
        return f"127.0.0.1:{self.line.port}"


@asynccontextmanager
async def broker_by_line(folder: Path, *, heap: str = "256m") -> AsyncIterator[Broker]:
    """A running broker that tells each client to come the way by which it asked."""
    apart = free_port()
    async with line(apart) as to_kafka:
        direct = "DIRECT://127.0.0.1:{port}"
        kafka = EmbeddedKafka(
            folder,
            heap=heap,
            settings={
                "listeners": f"{direct},CUT://127.0.0.1:{apart},CONTROLLER://127.0.0.1:{{controller_port}}",
                "advertised.listeners": f"{direct},CUT://127.0.0.1:{to_kafka.port}",
                "listener.security.protocol.map": "DIRECT:PLAINTEXT,CUT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "inter.broker.listener.name": "DIRECT",
            },
        )
        kafka.start()
        try:
            yield Broker(kafka, to_kafka)
        finally:
            to_kafka.heal()
            kafka.stop()


@asynccontextmanager
async def postgres_by_line(dsn: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to a PostgreSQL, and its address by that line."""
    port = urlsplit(dsn).port
    assert port is not None
    async with line(port) as to_postgres:
        yield to_postgres, dsn.replace(f":{port}/", f":{to_postgres.port}/")
