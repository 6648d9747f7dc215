"""The comparison: the records and what is true of them, and each system's turns."""

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from schemas.topics import CARDS, RESPONSE_RECORDED
from services.chassis.topic_admin import apply_topics
from tests.benchmarks.counting import fill, make_records
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.peers.bench import COMMIT_MS, Bench, Job
from tests.benchmarks.peers.figures import line
from tests.benchmarks.peers.running import Figures, measure
from tests.benchmarks.peers.surviving import survive
from tests.benchmarks.peers.systems import System
from tests.benchmarks.peers.tools import CannotRunError
from tests.benchmarks.peers.topics import make_topic
from tests.benchmarks.peers.truth import Source, WrongCountsError, count

_FEW = "bench.answers.few"
"""The topic with the first of all records."""
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Systems that take turns on the same servers; `few` is for those that would take hours for `all`."""

    bench: Bench
    systems: Sequence[System]
    folder: Path
    all: Source
    few: Source

    @classmethod
    async def prepare(
        cls, bench: Bench, systems: Sequence[System], folder: Path, events: int, few: int
    ) -> "Comparison":
        """Put the records on their topics and fold what is true of them."""
        records, _ = make_records(events)
        await apply_topics(bench.settings, tuple(CARDS.values()))
        await make_topic(bench.settings, _FEW)
        await fill(bench.settings, records)
        await fill(bench.settings, records[:few], topic=_FEW)
        sources = [
            Source(topic, len(part), count(value for _, value in part))
            for topic, part in ((RESPONSE_RECORDED, records), (_FEW, records[:few]))
        ]
        size = sum(len(value) for _, value in records) / len(records)
        print(f"machine: {describe_machine()}")
        print(
            f"{len(records):,} records of {size:.0f} B in 4 partitions, 30 counters each,"
            f" {len(sources[0].truth):,} cells; peers commit every {COMMIT_MS / 1000:.0f} s,"
            f" all publish at most every {bench.publish_ms / 1000:.0f} s while behind\n",
            flush=True,
        )
        return cls(bench, systems, folder, *sources)

    async def measure(self, rounds: int, output: Path | None) -> dict[str, list[Figures]]:
        """The runs of each system, in turns; `output` is written after each of them."""
        found: dict[str, list[Figures]] = {system.key: [] for system in self.systems}
        for number in range(rounds):
            for system in self.systems:
                run = await self._turn(system, number, partial(measure, self.bench, system, self._source(system)))
                if run is None:
                    continue
                print(line(run, system.title), flush=True)
                found[system.key].append(run)
                if output is not None:
                    runs = [run.as_json() for of in found.values() for run in of]
                    output.write_text(json.dumps({"cores": os.cpu_count(), "runs": runs}, indent=1) + "\n")
        return found

    async def kill(self, times: int) -> None:
        """End each system so often by kill -9 while it counts, and tell whether it is right all the same."""
        for system in self.systems:
            source = self._source(system)
            killed = await self._turn(system, "killed", partial(survive, self.bench, system, source, kills=times))
            if killed is not None:
                moments = ", ".join(f"{done:,}" for done in killed) or "no record: it was too quick"
                print(f"  {system.title}: exact after kill -9 at {moments} of {source.records:,}", flush=True)

    def _source(self, system: System) -> Source:
        return self.few if system.few else self.all

    async def _turn(self, system: System, number: int | str, work: Callable[[Job], Awaitable[Found]]) -> Found | None:
        name = f"{system.key}-{number}"
        job = Job(name, self.folder / name, self._source(system).topic)
        job.folder.mkdir()
        try:
            return await work(job)
        except CannotRunError as error:
            print(f"  {system.title} cannot be run here: {error}", flush=True)
        except WrongCountsError as error:
            print(f"  REFUSED {error}", flush=True)
        finally:
            if system.in_postgres:
                await self.bench.drop_database(job.name)
        return None
