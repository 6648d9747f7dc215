"""Kafka and PostgreSQL in containers of their official images, for `pytest --servers containers`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

# The broker must tell clients the port that the engine picked, which is known only once the container runs.
_WAIT_FOR_PORT = "sh -c 'until [ -f /tmp/port ]; do sleep 0.1; done; . /tmp/port; exec /etc/kafka/docker/run'"


class PostgresServer(Protocol):
    """What tests need of PostgreSQL."""

    def dsn(self, database: str = "kvittera") -> str:
        """Where a database is."""


class KafkaServer(Protocol):
    """What tests need of Kafka."""

    @property
    def bootstrap(self) -> str:
        """`host:port` of the broker."""


class BothServers(Protocol):
    """Both servers, whoever runs them."""

    @property
    def postgres(self) -> PostgresServer:
        """PostgreSQL."""

    @property
    def kafka(self) -> KafkaServer:
        """Kafka."""


class Kafka(DockerContainer):
    """One broker of the official image, reached from this process at `bootstrap`."""

    def __init__(self) -> None:
        super().__init__("apache/kafka:4.3.1", command=_WAIT_FOR_PORT)
        self.bootstrap = ""
        self.with_exposed_ports(9092).with_envs(
            KAFKA_NODE_ID="1",
            KAFKA_PROCESS_ROLES="broker,controller",
            KAFKA_LISTENERS="OUTSIDE://:9092,INSIDE://:19092,CONTROLLER://:9093",
            KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
            KAFKA_INTER_BROKER_LISTENER_NAME="INSIDE",
            KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
            KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
            KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
            KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
            KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
        )

    def start(self) -> Self:
        """Start, and return once clients are served."""
        super().start()
        self.bootstrap = f"{self.get_container_host_ip()}:{self.get_exposed_port(9092)}"
        advertised = f"OUTSIDE://{self.bootstrap},INSIDE://localhost:19092"
        self.copy_into_container(f"export KAFKA_ADVERTISED_LISTENERS={advertised}\n".encode(), "/tmp/port")
        LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60).wait_until_ready(self)
        return self


@dataclass(frozen=True, slots=True)
class Postgres:
    """PostgreSQL of the official image."""

    container: PostgresContainer

    def dsn(self, database: str = "kvittera") -> str:
        """Where a database is."""
        at = f"{self.container.get_container_host_ip()}:{self.container.get_exposed_port(5432)}"
        return f"postgresql://postgres:postgres@{at}/{database}"


@dataclass(frozen=True, slots=True)
class ContainerServers:
    """Both servers in containers."""

    postgres: Postgres
    kafka: Kafka


@contextmanager
def container_servers() -> Iterator[ContainerServers]:
    """Start both, and remove them at the end."""
    database = PostgresContainer(
        "postgres:18", username="postgres", password="postgres", dbname="kvittera", driver=None
    )
    # As the embedded one in tests: what they write need not survive a power cut.
    database.with_command("postgres -c fsync=off -c max_connections=300")
    with database, Kafka() as kafka:
        yield ContainerServers(Postgres(database), kafka)
