"""The archive of loaded classes with which Kafka starts in half the processor time; made once for a user's cache."""

import tempfile
from pathlib import Path

from services.embedded.jars import cache_folder, fetch, locked_jars
from services.embedded.kafka import EmbeddedKafka
from services.embedded.kafka_config import archive_in


def make_archive() -> Path | None:
    """Let a broker run once in a folder that is thrown away, and keep what Java learned from it.

    An archive that is there is kept. Returns its path, or None where Java made none: starts then just take longer.
    Call it on the main thread.

    Raises:
        EmbeddedError: the jars cannot be had, or the broker did not start.
    """
    jars = locked_jars()
    cache = cache_folder(jars)
    archive = archive_in(cache)
    if archive.exists():
        return archive
    fetch(jars, cache)
    with tempfile.TemporaryDirectory(prefix=".archive-", dir=cache) as scratch:
        made = Path(scratch) / "made"
        kafka = EmbeddedKafka(Path(scratch) / "kafka", more_flags=[f"-XX:AOTCacheOutput={made}"])
        kafka.start()
        kafka.stop()  # Java writes the archive when it ends
        return made.replace(archive) if made.exists() else None
