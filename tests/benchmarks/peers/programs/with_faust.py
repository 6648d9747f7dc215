"""The same counting on Faust: two tables with changelogs, an agent, and a timer that publishes.

Faust's transactions hold the offsets and the changelogs; what goes to a topic that it does not read itself goes
outside of them. The values are absolute, so the last one of a cell is right.

python -m tests.benchmarks.peers.programs.with_faust BOOTSTRAP INPUT OUTPUT ID COMMIT_MS PUBLISH_MS FOLDER
"""

import sys

import faust

from tests.benchmarks.peers.programs.job import Reader, cell_keys, read_counts, written

PARTITIONS = 4


def make(arguments: list[str]) -> faust.App:
    """The application, not yet started."""
    bootstrap, source, output, name, commit_ms, publish_ms, folder = arguments
    app = faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        store="memory://",
        processing_guarantee="exactly_once",
        broker_commit_interval=int(commit_ms) / 1000,
        broker_session_timeout=10.0,
        consumer_auto_offset_reset="earliest",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
        producer_linger=0.02,
        producer_max_batch_size=262_144,
    )
    answers = app.topic(source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    published = app.topic(output, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    last = app.Table("last", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    # The input partition stands first in the key: a table's changelog follows the partition of the record.
    cells = app.Table("cells", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    dirty: set[bytes] = set()

    @cells.on_recover  # type: ignore[untyped-decorator]
    async def forget_what_is_published() -> None:
        dirty.update(cells)

    read = Reader().read

    @app.agent(answers)  # type: ignore[untyped-decorator]
    async def count(stream: faust.Stream[bytes]) -> None:
        async for event in stream.events():
            answer = read(event.value)
            old = last.get(answer.response)
            if old is not None and old[0] >= answer.revision:
                continue
            last[answer.response] = bytes((answer.revision,)) + written(answer.counts)
            change = answer.counts if old is None else answer.counts - read_counts(old[1:])
            partition = bytes((event.message.partition,))
            for cell in cell_keys(answer):
                key = partition + cell
                before = cells.get(key)
                cells[key] = written(change if before is None else read_counts(before) + change)
                dirty.add(key)

    @app.timer(interval=int(publish_ms) / 1000)  # type: ignore[untyped-decorator]
    async def publish() -> None:
        for key in tuple(dirty):
            dirty.discard(key)
            await published.send(key=key, value=cells[key])

    return app


if __name__ == "__main__":
    app = make(sys.argv[1:])
    worker = faust.Worker(app, loglevel="WARNING")
    worker.execute_from_commandline()
