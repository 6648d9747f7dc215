"""Both servers together, as the demo and the tests need them."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.embedded.errors import no_space
from services.embedded.folder_lock import sole_use
from services.embedded.jars import Progress, in_silence
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres

_SPACE_FOR_START = 200 * 1024 * 1024


@dataclass
class Servers:
    """A running PostgreSQL and a running Kafka."""

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka


@contextmanager
def running_servers(
    folder: Path,
    *,
    fresh: bool = False,
    fsync: bool = True,
    progress: Progress = in_silence,
) -> Iterator[Servers]:
    """Start both servers in the folder, and stop them at the end; on the main thread.

    What they hold stays in the folder for the next start; `fresh` wipes it first. `progress` is told what is
    being done and, where it can be counted, how much is done of how much (0 of 0 where it cannot).

    Raises:
        EmbeddedError: one sentence that says what is wrong and what to do.
    """
    with sole_use(folder), ExitStack() as at_exit:
        postgres = EmbeddedPostgres(folder / "postgres", fsync=fsync, notice=lambda what: progress(what, 0, 0))
        kafka = EmbeddedKafka(folder / "kafka", progress=progress)
        if fresh:
            postgres.wipe()
            kafka.wipe()
        if shutil.disk_usage(folder).free < _SPACE_FOR_START:
            raise no_space(folder)
        at_exit.callback(postgres.stop)
        at_exit.callback(kafka.stop)
        _start_together(postgres, kafka, progress)
        yield Servers(postgres, kafka)


def _start_together(postgres: EmbeddedPostgres, kafka: EmbeddedKafka, progress: Progress) -> None:
    """Prepare both at the same time; launch both from this thread, since a child ends with its thread."""
    with ThreadPoolExecutor(2) as pool:
        progress("preparing PostgreSQL and Kafka", 0, 0)
        for prepared in [pool.submit(kafka.prepare), pool.submit(postgres.prepare)]:
            prepared.result()
    progress("starting PostgreSQL and Kafka", 0, 0)
    kafka.launch()
    postgres.launch()
    postgres.wait_until_ready()
    kafka.wait_until_ready()
