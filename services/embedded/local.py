"""Where a command finds the servers: the given ones, those of a running demo, or the demo's data at rest."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.chassis.environment import load_settings
from services.chassis.failures import MustStop
from services.chassis.settings import PREFIX, Settings
from services.embedded.errors import EmbeddedError
from services.embedded.folder_lock import holder_of, sole_use
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.processes import is_running
from services.embedded.server_faults import told

FOLDER = Path(".kvittera")
NOTE = "running.json"
KEY = "sealing.key"


@contextmanager
def reachable(*, kafka: bool = False, postgres: bool = False) -> Iterator[Settings]:
    """Settings with servers behind them; the demo's own are started for the time of the command if need be.

    Raises:
        MustStop: nothing is set and no demo has run in this folder, or a server refused, was not found, or went away
            before the command was done.
    """
    try:
        with _found(kafka=kafka, postgres=postgres) as settings:
            yield settings
    except Exception as error:
        if (sentence := told(error)) is None:
            raise
        raise MustStop(sentence) from None  # not the exit code of a proof that found something


@contextmanager
def _found(*, kafka: bool, postgres: bool) -> Iterator[Settings]:
    needed = [PREFIX + n for n, wanted in (("KAFKA_BOOTSTRAP", kafka), ("POSTGRES_DSN", postgres)) if wanted]
    if any(name in os.environ or f"{name}_FILE" in os.environ for name in needed):
        yield load_settings()
        return
    if (found := _running()) is not None:
        yield load_settings({**_sealing_key(), **os.environ, **found})
        return
    if not (FOLDER / "postgres").exists():
        raise MustStop(f"set {' and '.join(needed)}, or run `kvittera demo` in this folder first")
    try:
        with sole_use(FOLDER), ExitStack() as at_exit:
            yield load_settings({**_sealing_key(), **os.environ, **_start(at_exit, kafka=kafka, postgres=postgres)})
    except EmbeddedError as error:
        raise MustStop(str(error)) from None


def _sealing_key() -> dict[str, str]:
    """The key that the demo made for itself; one that is set outweighs it."""
    try:
        return {PREFIX + "SEALING_KEY": (FOLDER / KEY).read_text().strip()}
    except OSError:
        return {}


def _running() -> dict[str, str] | None:
    """What a running demo in this folder left for us to know."""
    try:
        note = json.loads((FOLDER / NOTE).read_text())
    except (OSError, ValueError):
        return None
    # Its number alone proves nothing: a demo that was killed leaves its note, and the system gives numbers again.
    runs = is_running(note["pid"]) and holder_of(FOLDER) == note["pid"]
    return {k: v for k, v in note.items() if k != "pid"} if runs else None


def _start(at_exit: ExitStack, *, kafka: bool, postgres: bool) -> dict[str, str]:
    found = {}
    if postgres:
        database = EmbeddedPostgres(FOLDER / "postgres")
        at_exit.callback(database.stop)
        database.start()
        found[PREFIX + "POSTGRES_DSN"] = database.dsn()
    if kafka:
        broker = EmbeddedKafka(FOLDER / "kafka")
        at_exit.callback(broker.stop)
        broker.start()
        found[PREFIX + "KAFKA_BOOTSTRAP"] = broker.bootstrap
    return found
