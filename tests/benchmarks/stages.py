"""Where the time of a counted event goes: processor time of Python by stage, PostgreSQL's by statement.

Run as a program it is the service itself, sampled: `python -m tests.benchmarks.stages OUT aggregator`. Every
millisecond of processor time the main thread's stack is looked at, and one stage gets a sample. SIGUSR1 forgets what
was seen until then.
"""

import atexit
import json
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from services.chassis.postgres import Database

PYTHON = ("fetch", "decode", "dedupe", "fold", "upsert", "publish", "fence", "other")
Places = Sequence[tuple[str, str, str]]
_PLACES: Places = (
    ("services/aggregator/publishing/publisher.py", "", "publish"),
    ("aiokafka/producer/", "", "publish"),
    ("services/aggregator/counting/stored_cells.py", "", "upsert"),
    ("services/aggregator/publishing/records.py", "", "publish"),
    ("services/aggregator/counting/deltas.py", "fold", "fold"),
    ("services/aggregator/counting/reading.py", "", "decode"),
    ("services/aggregator/handlers.py", "", "dedupe"),
    ("services/aggregator/counting/", "", "dedupe"),
    ("services/chassis/fence.py", "", "fence"),
    ("services/chassis/consumer.py", "", "fetch"),
    ("services/chassis/own_feed.py", "", "fetch"),
    ("aiokafka/", "", "fetch"),
)
NOTIFIER: Places = (
    ("services/notifier/channels/", "", "channel"),
    ("aiohttp/client", "", "channel"),
    ("aiosmtplib/", "", "channel"),
    ("services/notifier/render.py", "", "render"),
    ("services/notifier/claim.py", "", "claim"),
    ("services/notifier/settlement.py", "", "settle"),
    ("services/chassis/persons.py", "", "seal"),
    ("services/chassis/outbox.py", "", "relay"),
    ("aiokafka/producer/", "", "relay"),
    ("services/notifier/policy/", "", "decide"),
    ("services/notifier/history.py", "", "look back"),
    ("services/notifier/planned.py", "", "plan"),
    ("services/notifier/handlers.py", "_event", "tell"),
    ("services/notifier/handlers.py", "", "plan"),
    ("services/notifier/hand_over.py", "", "dispatch"),
    ("services/notifier/dispatch.py", "", "dispatch"),
    ("services/chassis/records.py", "", "decode"),
    ("services/chassis/fence.py", "", "fence"),
    ("services/chassis/consumer.py", "", "fetch"),
    ("services/chassis/own_feed.py", "", "fetch"),
    ("aiokafka/", "", "fetch"),
)
"""The same for the notifier: what is called from one of these places belongs to it."""
_STATEMENTS = (
    ("answer", ("incoming_answer", 'COPY "answer"', "SELECT response_id FROM answer")),
    ("decision", ("incoming_decision",)),
    ("cells", ("incoming_cell", 'COPY "cell"', "SELECT cell FROM cell WHERE")),
    ("publish", ("touched", "FROM cell", "FROM unit AS u WHERE id")),
    ("fence", ("progress",)),
)
_LEAST_EVERY_S = 0.001


def stage_of(frame: FrameType | None, places: Places = _PLACES) -> str:
    """The stage that a stack belongs to: the first of the known places that it holds."""
    stack = []
    while frame is not None:
        stack.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    for place, name, stage in places:
        if any(place in file and name in function for file, function in stack):
            return stage
    return "other"


def _sample(into: Path, places: Places) -> None:
    found: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, lambda _, frame: found.update((stage_of(frame, places),)))
    signal.signal(signal.SIGUSR1, lambda *_: found.clear())
    signal.setitimer(signal.ITIMER_PROF, _LEAST_EVERY_S, _LEAST_EVERY_S)
    atexit.register(lambda: into.write_text(json.dumps(found)))


def shares(samples: Path, stages: Sequence[str] = PYTHON) -> dict[str, float]:
    """The share of each stage in the sampled processor time, from 0 to 1."""
    found = read_samples(samples)
    total = sum(found.values()) or 1
    return {stage: found.get(stage, 0) / total for stage in stages}


def read_samples(samples: Path) -> dict[str, int]:
    """How often each stage was seen."""
    found: dict[str, int] = json.loads(samples.read_text())
    return found


POSTGRES_SETTINGS: Mapping[str, str] = {"shared_preload_libraries": "pg_stat_statements"}


async def forget_statements(connection: Database) -> None:
    """Begin to watch PostgreSQL's statements anew."""
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public")
    await connection.execute("SELECT public.pg_stat_statements_reset()")


async def statement_shares(connection: Database) -> dict[str, float]:
    """The share of each kind of statement in all execution time, from 0 to 1."""
    rows = await connection.fetch("SELECT query, total_exec_time AS ms FROM public.pg_stat_statements")
    spent: Counter[str] = Counter()
    for row in rows:
        kind = next((k for k, words in _STATEMENTS if any(w in row["query"] for w in words)), "other")
        spent[kind] += row["ms"]
    total = sum(spent.values()) or 1
    return {kind: spent[kind] / total for kind in (*[k for k, _ in _STATEMENTS], "other")}


def table(title: str, micros: float, parts: Mapping[str, float]) -> str:
    """One line: the whole and its parts in microseconds an event."""
    return f"  {title} {micros:.1f} us: " + ", ".join(f"{k} {micros * v:.1f}" for k, v in parts.items() if v >= 0.005)


def main() -> None:
    """Become the service that the arguments name, and write the samples when it ends."""
    from services.__main__ import main as kvittera

    _sample(Path(sys.argv.pop(1)), NOTIFIER if sys.argv[1] == "notifier" else _PLACES)
    kvittera()


def as_json(parts: Mapping[str, float], micros: float) -> dict[str, Any]:
    """The parts in microseconds an event."""
    return {k: round(micros * v, 2) for k, v in parts.items()}


if __name__ == "__main__":
    main()
