"""The systems that are compared: how each is started, how far it has counted, and what it promises."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from schemas.topics import CARDS, RESPONSE_RECORDED, SATISFACTION_CELLS
from services.chassis.postgres import connect, migrate
from services.chassis.topic_admin import apply_topics
from tests.benchmarks.peers import tools
from tests.benchmarks.peers.bench import Bench, Counted, Job, counted_in_kafka, counted_in_postgres
from tests.benchmarks.peers.topics import Reading, make_topic, read_binary, read_ours
from tests.benchmarks.peers.truth import CUTS, WINDOWS
from tests.benchmarks.system import settings_of, variables

_ROOT = Path(__file__).parents[3]


class System(Protocol):
    """What the benchmark asks of a system."""

    key: str
    title: str
    promises: str
    few: bool
    """It gets only the first of all records."""
    in_postgres: bool

    @property
    def reading(self) -> Reading:
        """How its records are read."""

    async def prepare(self, bench: Bench, job: Job) -> None:
        """Make topics and tables; may raise `tools.CannotRunError`."""

    def command(self, bench: Bench, job: Job) -> tuple[Sequence[str], Mapping[str, str]]:
        """What to run, and the environment variables that it needs."""

    def output(self, job: Job) -> str:
        """The topic that it publishes on."""

    def watch(self, bench: Bench, job: Job) -> AbstractAsyncContextManager[Counted]:
        """Something that tells how many records are counted for good."""


@dataclass(slots=True)
class Ours:
    """The aggregator."""

    key: str = "kvittera"
    title: str = "Kvittera's aggregator"
    promises: str = "counters, revisions and offsets in one PostgreSQL transaction; readers end at the true value"
    few: bool = False
    in_postgres: bool = True

    @property
    def reading(self) -> Reading:
        return read_ours

    def _variables(self, bench: Bench, job: Job) -> dict[str, str]:
        cuts = job.folder / "cuts.toml"
        cuts.write_text(f"windows = {list(WINDOWS)!r}\ncuts = {['total', *CUTS]!r}\n")
        return {
            **variables(bench.postgres, bench.kafka, KVITTERA_CUTS_FILE=str(cuts)),
            "KVITTERA_POSTGRES_DSN": bench.postgres.dsn(job.name),
        }

    async def prepare(self, bench: Bench, job: Job) -> None:
        await bench.make_database(job.name)
        settings = settings_of(self._variables(bench, job))
        await apply_topics(settings, tuple(CARDS.values()))
        await make_topic(settings, SATISFACTION_CELLS, **{"cleanup.policy": "compact"})
        connection = await connect(settings, "aggregator")
        await migrate(connection, "aggregator", "services.aggregator")
        await connection.close()

    def command(self, bench: Bench, job: Job) -> tuple[Sequence[str], Mapping[str, str]]:
        return [sys.executable, "-m", "services", "aggregator"], self._variables(bench, job)

    def output(self, job: Job) -> str:
        del job
        return SATISFACTION_CELLS

    def watch(self, bench: Bench, job: Job) -> AbstractAsyncContextManager[Counted]:
        return counted_in_postgres(bench.postgres.dsn(job.name), "aggregator", " WHERE topic = $1", RESPONSE_RECORDED)


class _Peer:
    """What all peers share: they publish in binary on a topic of their own, and commit offsets to their group."""

    @property
    def reading(self) -> Reading:
        return read_binary

    async def prepare(self, bench: Bench, job: Job) -> None:
        await make_topic(bench.settings, self.output(job))

    def output(self, job: Job) -> str:
        return f"bench.cells.{job.name}"

    def _arguments(self, bench: Bench, job: Job) -> list[str]:
        return [bench.kafka.bootstrap, job.source, self.output(job), job.name]

    def watch(self, bench: Bench, job: Job) -> AbstractAsyncContextManager[Counted]:
        return counted_in_kafka(bench.settings, job.name, job.source)


@dataclass(slots=True)
class KafkaStreams(_Peer):
    """Kafka Streams with stores of its own (`cached`), or with the hash map that writes behind (`write-behind`)."""

    jar: Path
    threads: int
    state: str = "cached"
    few: bool = False
    in_postgres: bool = False
    promises: str = "state, changelog, offsets and cells in one Kafka transaction (exactly_once_v2)"
    key: str = field(init=False)
    title: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = f"streams-{self.state}-{self.threads}"
        store = "" if self.state == "cached" else ", write-behind store"
        self.title = f"Kafka Streams{store}, {self.threads} {'thread' if self.threads == 1 else 'threads'}"

    def command(self, bench: Bench, job: Job) -> tuple[Sequence[str], Mapping[str, str]]:
        path = f"{self.jar}:{self.jar.parent / 'lib'}/*"
        heap = ["-Xms3g", "-Xmx5g", "-XX:+UseParallelGC"]
        arguments = [*self._arguments(bench, job), str(self.threads), str(job.commit_ms), str(bench.publish_ms)]
        state = [str(job.folder / "state"), self.state]
        return [tools.java(), *heap, "-cp", path, "bench.CountingJob", *arguments, *state], {}


@dataclass(slots=True)
class PythonPeer(_Peer):
    """A program of `programs/` in a virtual environment of its own."""

    key: str
    title: str
    promises: str
    program: str
    few: bool = True
    in_postgres: bool = False
    _python: Path = field(init=False)

    async def prepare(self, bench: Bench, job: Job) -> None:
        self._python = tools.make_venv(self.key)
        await _Peer.prepare(self, bench, job)
        if self.in_postgres:
            await bench.make_database(job.name)

    def command(self, bench: Bench, job: Job) -> tuple[Sequence[str], Mapping[str, str]]:
        last = bench.postgres.dsn(job.name) if self.in_postgres else str(job.folder / "state")
        times = [str(job.commit_ms), str(bench.publish_ms)]
        module = f"tests.benchmarks.peers.programs.{self.program}"
        command = [str(self._python), "-m", module, *self._arguments(bench, job), *times, last]
        return command, {"PYTHONPATH": str(_ROOT)}

    def watch(self, bench: Bench, job: Job) -> AbstractAsyncContextManager[Counted]:
        if self.in_postgres:
            return counted_in_postgres(bench.postgres.dsn(job.name), "public")
        return _Peer.watch(self, bench, job)


def systems(jar: Path | None) -> list[System]:
    """All systems, ours first; those on Kafka Streams only where their jar could be built."""
    once = "cells, state and offsets in one Kafka transaction a checkpoint"
    outside = "state and offsets in one Kafka transaction a commit; cells outside of it, all again after a start"
    python: list[System] = [
        PythonPeer(
            "write-behind",
            "plain program, write-behind into PostgreSQL",
            "counters, revisions and offsets in one PostgreSQL transaction, cells in one of Kafka's after it",
            "write_behind",
            few=False,
            in_postgres=True,
        ),
        PythonPeer("quix", "Quix Streams", once, "with_quix"),
        PythonPeer("faust", "Faust", outside, "with_faust"),
    ]
    streams: list[System] = []
    if jar is not None:
        streams = [KafkaStreams(jar, 1), KafkaStreams(jar, 2), KafkaStreams(jar, 1, "write-behind")]
        streams.append(KafkaStreams(jar, 2, "write-behind"))
    return [Ours(), *streams, *python]
