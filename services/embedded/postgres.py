"""A real PostgreSQL 18 as a child process; its data stays in the folder."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from services.embedded.child import end_child, spawn_child
from services.embedded.errors import EmbeddedError, from_log, from_os_error
from services.embedded.postgres_files import DATABASE, ENVIRONMENT, find_binaries, make_data
from services.embedded.processes import children_of, is_running, program_of
from services.embedded.server import EmbeddedServer
from services.embedded.unprivileged import account_instead_of_root, place_for_data

StopMode = Literal["fast", "immediate", "smart"]

_STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "smart": signal.SIGTERM}
_STOP_WITHIN_S = 60.0
_READY_WITHIN_S = 120.0  # after a crash it first replays its log
_LOOK_EVERY_S = 0.01
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "replica",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres(EmbeddedServer):
    """One PostgreSQL server in a folder, with the database `kvittera`; anyone on 127.0.0.1 may connect.

    `fsync=False` is for tests: a crash of the machine (not of the server) may then lose data. `settings`
    override the server's configuration.
    """

    name = "PostgreSQL"
    files = "postgres"

    def __init__(
        self,
        folder: Path,
        *,
        fsync: bool = True,
        settings: Mapping[str, str] = MappingProxyType({}),
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(folder)
        self._settings = {**_SETTINGS, "fsync": "on" if fsync else "off", **settings}
        self._notice = notice
        self._account = account_instead_of_root()
        self._data: Path | None = None
        self._binaries: Path | None = None

    @property
    def data(self) -> Path:
        """Where the tables are: in the folder, unless the server's account cannot reach it."""
        if self._data is None:
            raise EmbeddedError("PostgreSQL has not been started: call start() first.")
        return self._data

    def dsn(self, database: str = DATABASE) -> str:
        """The address of a database for a client."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def binary(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs, such as psql, pg_dump or pgbench."""
        if self._binaries is None:
            self._binaries = find_binaries(self._account, self._notice)
        return self._binaries / name

    def prepare(self) -> None:
        """Make the data folder at the first start; wait for an earlier server that is still ending."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._data is None:
                self._data = self._place_data()
            if not self._data.exists():
                log = self.folder / "postgres-initdb.log"
                make_data(self._data, self.binary(""), self._account, log)
        except OSError as error:
            raise from_os_error(error, self.folder, "Preparing PostgreSQL") from error
        self._wait_for_earlier_server()

    def launch(self) -> None:
        """Start the server process without waiting; on the main thread, after prepare()."""
        port = self._take_port()
        self.log.write_bytes(b"")
        flags = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        self._server = spawn_child(
            [self.binary("postgres"), "-D", self.data, "-p", str(port), *flags],
            user=self._user,
            log=self.log,
            env=ENVIRONMENT,
            cwd=Path("/"),
            death_signal=signal.SIGINT,
        )

    def wait_until_ready(self) -> None:
        """Return when the server takes connections; any thread may wait."""
        until = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < until:
            if self._says_ready():
                return
            if self._has_ended():
                raise from_log("PostgreSQL", self.log, self.data)
            time.sleep(_LOOK_EVERY_S)
        raise from_log("PostgreSQL", self.log, self.data)

    def stop(self, mode: StopMode = "fast") -> None:
        """End the server: fast breaks connections, smart waits for them, immediate is a crash to repair."""
        if self._server is None:
            return
        if not end_child(self._server, _STOP_SIGNALS[mode], _STOP_WITHIN_S):
            self.kill()
        self._server = None

    def kill(self) -> None:
        """End the server and all its processes at once, as a crash would."""
        if self._server is None:
            return
        postmaster, self._server = self._server, None
        if postmaster.poll() is None:
            postmaster.send_signal(signal.SIGSTOP)  # it starts no more processes while we list them
            families = children_of(postmaster.pid)
            for pid in (postmaster.pid, *families):
                _kill_quietly(pid)
            postmaster.wait()
            while any(is_running(pid) for pid in families):
                time.sleep(_LOOK_EVERY_S)

    def wipe(self) -> None:
        """Remove all data; the server must be down."""
        self._data = self._data or self._place_data()
        self._wait_for_earlier_server()
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def _user(self) -> str | None:
        return self._account.name if self._account else None

    def _place_data(self) -> Path:
        place = self.folder
        if self._account is not None:
            place = place_for_data(self.folder, self._account)
            if place != self.folder:
                self._notice(f"PostgreSQL's data is in {place}, because the account nobody cannot enter {self.folder}")
        return (place / "postgres-data").resolve()

    def _postmaster_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _says_ready(self) -> bool:
        lines = self._postmaster_file()
        return bool(lines) and lines[0] == str(self.pid) and lines[-1].strip() == "ready"

    def _wait_for_earlier_server(self) -> None:
        """A server whose parent was killed a moment ago still writes its last checkpoint; let it finish."""
        lines = self._postmaster_file()
        earlier = int(lines[0]) if lines else 0
        until = time.monotonic() + _STOP_WITHIN_S
        while earlier and is_running(earlier) and "postgres" in program_of(earlier):
            if time.monotonic() > until:
                raise EmbeddedError(f"Process {earlier} runs PostgreSQL in {self.data}: end it, then start again.")
            time.sleep(_LOOK_EVERY_S)
        if earlier and is_running(earlier):  # another program has the number now, and PostgreSQL would refuse
            (self.data / "postmaster.pid").unlink(missing_ok=True)


def _kill_quietly(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
