"""Where a peak hour runs: one process of each service on the given servers, and what they are told."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.demo.supervisor import SERVICES
from services.embedded.kafka import EmbeddedKafka
from services.embedded.ports import free_port
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.machine import family_memory_mib, peak_mib
from tests.benchmarks.system import running, variables

OTHERS = "people, upstream and provider"
"""What this process plays itself."""
DRAWN = 0.83
"""The share that is drawn to be asked; a few more have no address or are too old, which leaves some eight tenths."""
_PROVIDER = """
[[provider]]
name = "bench"
adapter = "gateway"
url = "http://127.0.0.1:{port}/messages"
secret_file = "{secret}"
reference_header = "Idempotency-Key"
fields = {{ to = "to", text = "text", reference = "reference" }}
"""
_ALWAYS = "effective_from = 1970-01-01T00:00:00Z\n"


@dataclass(slots=True)
class Place:
    """Servers, and processes by name once they run.

    Attributes:
        provider_port: where the provider of text messages listens.
        survey_port: where people open their pages.
    """

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka
    folder: Path
    provider_port: int
    survey_port: int = field(default_factory=free_port)
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def segments(self) -> Path:
        """The folder of the broker's segments."""
        return self.kafka.folder / "kafka-data"

    @property
    def ports(self) -> dict[int, str]:
        """Who listens where."""
        return {
            self.postgres.port: "PostgreSQL",
            self.kafka.port: "Kafka",
            self.survey_port: "survey",
            self.provider_port: "provider",
        }

    def memory_mib(self) -> dict[str, float]:
        """The most memory of each process, and what PostgreSQL holds now with its children."""
        alone = {name: peak_mib(pid) for name, pid in self.pids.items() if name in SERVICES or name == "Kafka"}
        return {**alone, "PostgreSQL": family_memory_mib(self.postgres.pid)}

    def environment(self) -> dict[str, str]:
        """The settings of all services: no quiet hours, a share that is drawn, and no cap in the way."""
        providers, secret, policies = (self.folder / name for name in ("providers.toml", "secret", "policies"))
        secret.write_text("made-up")
        policies.mkdir()
        (policies / "hours.v1.toml").write_text(f"{_ALWAYS}reminder_days = 3\n")
        (policies / "sampling.v1.toml").write_text(f"{_ALWAYS}rate = {DRAWN}\n")
        providers.write_text(_PROVIDER.format(port=self.provider_port, secret=secret))
        return variables(
            self.postgres,
            self.kafka,
            KVITTERA_KAFKA_PARTITIONS="6",
            KVITTERA_PUBLIC_URL=f"http://127.0.0.1:{self.survey_port}",
            KVITTERA_CHANNEL="providers",
            KVITTERA_PROVIDERS_FILE=str(providers),
            KVITTERA_LIVE_SENDING_UNTIL=(datetime.now(UTC) + timedelta(days=1)).isoformat(),
            KVITTERA_SENDS_PER_MINUTE="100000000",
            KVITTERA_SEND_CONCURRENCY="500",
            KVITTERA_USUAL_SENDS_PER_HOUR="1000000000",
            KVITTERA_POLICIES_FOLDER=str(policies),
        )


@asynccontextmanager
async def services(place: Place, environment: dict[str, str]) -> AsyncIterator[None]:
    """One process of each until the end of the block."""
    async with (
        running("notifier", environment, place.folder / "notifier.log") as (notifier, _),
        running("survey", environment, place.folder / "survey.log", port=place.survey_port) as (survey, _),
        running("aggregator", environment, place.folder / "aggregator.log") as (aggregator, _),
    ):
        started = zip(SERVICES, (notifier, survey, aggregator), strict=True)
        place.pids |= {name: process.pid for name, process in started}
        place.pids |= {"PostgreSQL": place.postgres.pid, "Kafka": place.kafka.pid, OTHERS: os.getpid()}
        yield
