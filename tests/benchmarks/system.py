"""One service as a process of its own against the benchmark's servers."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from schemas.topics import CARDS
from services.chassis.environment import load_settings
from services.chassis.postgres import connect, migrate
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.embedded.child import end_child, spawn_child
from services.embedded.kafka import EmbeddedKafka
from services.embedded.ports import free_port
from services.embedded.postgres import EmbeddedPostgres

SEALING_KEY = "5e" * 32


def variables(postgres: EmbeddedPostgres, kafka: EmbeddedKafka, **more: str) -> dict[str, str]:
    """Environment variables for services on these servers."""
    return {
        "KVITTERA_POSTGRES_DSN": postgres.dsn(),
        "KVITTERA_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "KVITTERA_SEALING_KEY": SEALING_KEY,
        "KVITTERA_KAFKA_PARTITIONS": "4",
        **more,
    }


async def prepare(settings: Settings, services: Sequence[str] = ("survey", "aggregator")) -> None:
    """Topics and tables."""
    await apply_topics(settings, tuple(CARDS.values()))
    for service in services:
        connection = await connect(settings, service)
        await migrate(connection, service, f"services.{service}")
        await connection.close()


@asynccontextmanager
async def running(
    service: str,
    environment: dict[str, str],
    log: Path,
    *,
    sampled: Path | None = None,
    program: Sequence[str] = ("services",),
    port: int | None = None,
) -> AsyncIterator[tuple[subprocess.Popen[bytes], int]]:
    """The service, ready to work; yields its process and port. `sampled` is where its stages are told at its end.

    `program` is the module that runs it, with what stands before the service's name. A process with the `port` of one
    that has ended takes its place in Kafka's groups at once; others wait until that one is given up.
    """
    port = port or free_port()
    environment = {**os.environ, **environment, f"KVITTERA_{service.upper()}_PORT": str(port)}
    program = program if sampled is None else ("tests.benchmarks.stages", str(sampled))
    process = spawn_child([sys.executable, "-m", *program, service], log=log, env=environment)
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(300):
                await asyncio.sleep(0.1)
                if process.poll() is not None:
                    raise RuntimeError(f"the {service} ended: {log.read_text()[-500:]}")
                try:
                    async with session.get(f"http://127.0.0.1:{port}/health/ready") as reply:
                        if reply.status == 200:
                            break
                except aiohttp.ClientError:
                    continue
        yield process, port
    finally:
        end_child(process, signal.SIGTERM, 25)


def settings_of(environment: dict[str, str]) -> Settings:
    """The same as settings of this process."""
    return load_settings({**os.environ, **environment})
