"""What both servers have in common: a child process in a folder, on a port of 127.0.0.1 that stays the same."""

import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from services.embedded.errors import EmbeddedError
from services.embedded.ports import port_to_keep, remembered_port


class EmbeddedServer(ABC):
    """A server that is started, waited for, ended or killed; its data stay in the folder."""

    name: ClassVar[str]
    """As people call it."""
    files: ClassVar[str]
    """Begins the names of its files in the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    @property
    def log(self) -> Path:
        """The file with everything the server says."""
        return self.folder / f"{self.files}.log"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self._server is None:
            raise EmbeddedError(f"{self.name} is not running: call start() first.")
        return self._server.pid

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, the same at every start of this object."""
        if self._port is None:
            raise EmbeddedError(f"{self.name} has not been started: call start() first.")
        return self._port

    def start(self) -> None:
        """Start the server and wait until it takes connections; call it on the main thread.

        Raises:
            EmbeddedError: it did not start; the sentence says why and what to do.
        """
        self.prepare()
        self.launch()
        self.wait_until_ready()

    @abstractmethod
    def prepare(self) -> None:
        """Make what the first start needs."""

    @abstractmethod
    def launch(self) -> None:
        """Start the process without waiting; on the main thread, after prepare()."""

    @abstractmethod
    def wait_until_ready(self) -> None:
        """Return when the server takes connections; any thread may wait."""

    @abstractmethod
    def kill(self) -> None:
        """End the server at once, as a crash would."""

    @abstractmethod
    def wipe(self) -> None:
        """Remove all data; the server must be down."""

    def _take_port(self) -> int:
        """The port of the last start if it is known, here or in the folder."""
        memory = self.folder / f"{self.files}.port"
        self._port = port_to_keep(self._port, self.name) if self._port else remembered_port(memory)
        return self._port

    def _has_ended(self) -> bool:
        return self._server is None or self._server.poll() is not None
