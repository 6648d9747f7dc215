"""The same counting on Quix Streams: one stateful step over the records of a partition, exactly once.

Quix keeps state by message key. All records of a partition are given the same key, so that a partition's counters
lie together and nothing has to be sent to another topic first. It has no timers, so each change is published.

    python -m tests.benchmarks.peers.programs.with_quix BOOTSTRAP INPUT OUTPUT ID COMMIT_MS PUBLISH_MS FOLDER
"""

import sys
from typing import Any

from quixstreams import Application, State, message_context
from quixstreams.models import Deserializer, Serializer

from tests.benchmarks.peers.programs.job import Reader, cell_keys, read_counts, written

Cell = tuple[bytes, bytes]


class OneKey(Deserializer):  # type: ignore[misc]
    """Gives every record the same key."""

    def __call__(self, value: bytes, ctx: Any) -> bytes:  # noqa: ARG002
        """The key."""
        return b"all"


class Published(Serializer):  # type: ignore[misc]
    """Of a key and its counters, the counters."""

    def __call__(self, value: Cell, ctx: Any) -> bytes:  # noqa: ARG002
        """The counters."""
        return value[1]


def main() -> None:
    """Run until told to stop."""
    bootstrap, source, output, name, commit_ms, _publish_ms, folder = sys.argv[1:]
    application = Application(
        broker_address=bootstrap,
        consumer_group=name,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=int(commit_ms) / 1000,
        state_dir=folder,
        consumer_extra_config={"session.timeout.ms": 10_000},
        producer_extra_config={"linger.ms": 20, "batch.size": 262_144, "queue.buffering.max.messages": 2_000_000},
        loglevel="WARNING",
    )
    read = Reader().read

    def count(value: bytes, state: State) -> list[Cell]:
        answer = read(value)
        old = state.get_bytes(answer.response)
        if old is not None and old[0] >= answer.revision:
            return []
        state.set_bytes(answer.response, bytes((answer.revision,)) + written(answer.counts))
        change = answer.counts if old is None else answer.counts - read_counts(old[1:])
        partition = bytes((message_context().partition,))
        changed = []
        for key in cell_keys(answer):
            before = state.get_bytes(key)
            value = written(change if before is None else read_counts(before) + change)
            state.set_bytes(key, value)
            changed.append((partition + key, value))
        return changed

    answers = application.topic(source, value_deserializer="bytes", key_deserializer=OneKey())
    cells = application.topic(output, value_serializer=Published(), key_serializer="bytes")
    stream = application.dataframe(answers).apply(count, stateful=True, expand=True)
    stream.to_topic(cells, key=lambda cell: cell[0])
    application.run()


if __name__ == "__main__":
    main()
