"""Kvittera as its users run it: a process of its own, in a folder of its own, with nothing set."""

import asyncio
import contextlib
import gc
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.__main__ import main
from services.embedded.ports import free_port
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.processes import children_of, is_running

ROOT = Path(__file__).resolve().parents[1]
_COMMAND = (sys.executable, "-m", "services")
_START_SECONDS = 120


def _environment(settings: dict[str, str]) -> dict[str, str]:
    nothing_set = {name: text for name, text in os.environ.items() if not name.startswith("KVITTERA_")}
    return {**nothing_set, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1", **settings}


@dataclass(frozen=True, slots=True)
class Told:
    """How a command ended and what it said."""

    returncode: object
    stdout: str
    stderr: str


def kvittera(folder: Path, *arguments: str, timeout: float = 150, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*_COMMAND, *arguments],
        cwd=folder,
        env=_environment(settings),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def kvittera_here(folder: Path, *arguments: str, **settings: str) -> Told:
    """Run a command that ends before it starts anything, in this process: as a process it would only import longer."""
    out, err, objects = io.StringIO(), io.StringIO(), gc.get_threshold()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["kvittera", *arguments])
        patch.setattr(os, "environ", _environment(settings))
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code
        finally:
            gc.set_threshold(*objects)
    return Told(code, out.getvalue(), err.getvalue())


def report_of(folder: Path, *arguments: str, timeout: float = 150, **settings: str) -> dict[str, Any]:
    """Run the demo without a page until it is done, and return what it proves."""
    report = folder / "report.json"
    words = ("demo", "--headless", "--until-done", "--report", report.name, *arguments)
    done = kvittera(folder, *words, timeout=timeout, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return told


def in_the_kept_data(folder: Path, ask: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
    """What PostgreSQL says about the data that a demo left."""

    async def asked(dsn: str) -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await ask(connection)
        finally:
            await connection.close()

    postgres = EmbeddedPostgres(folder / ".kvittera" / "postgres")
    postgres.start()
    try:
        return asyncio.run(asked(postgres.dsn()))
    finally:
        postgres.stop()


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """A demo with its page."""

    folder: Path
    process: subprocess.Popen[bytes]
    url: str

    @property
    def said(self) -> str:
        """What it wrote to the terminal."""
        return (self.folder / "terminal").read_text(errors="replace")

    @property
    def servers(self) -> dict[str, str]:
        """The settings that lead to its servers."""
        note = json.loads((self.folder / ".kvittera" / "running.json").read_text())
        return {name: text for name, text in note.items() if name != "pid"}

    def family(self) -> list[int]:
        """The process and all that it started, directly or not."""
        found = [self.process.pid]
        for pid in found:
            found += children_of(pid)
        return found

    def press_ctrl_c(self) -> None:
        """What a terminal does: the signal goes to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)


def states(demo: RunningDemo, most: int) -> Iterator[dict[str, Any]]:
    """So many of the states that the page is told, two a second."""
    with urllib.request.urlopen(f"{demo.url}/demo/events", timeout=120) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
        for _, state in zip(range(most), told, strict=False):
            yield state


@contextlib.contextmanager
def demo_with_page(folder: Path, *arguments: str, port: int | None = None) -> Iterator[RunningDemo]:
    """Start the demo, at a free port unless told, wait until its page can be used, and end it if it still runs."""
    port = port or free_port()
    with (folder / "terminal").open("wb") as terminal:
        process = subprocess.Popen(
            [*_COMMAND, "demo", "--port", str(port), *arguments],
            cwd=folder,
            env=_environment({}),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    demo = RunningDemo(folder, process, f"http://127.0.0.1:{port}")
    try:
        _wait_for_page(demo)
        yield demo
    finally:
        if process.poll() is None:
            demo.press_ctrl_c()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()  # its children end with it
            process.wait()


def _wait_for_page(demo: RunningDemo) -> None:
    until = time.monotonic() + _START_SECONDS
    while "Kvittera runs:" not in demo.said:
        assert demo.process.poll() is None, demo.said
        assert time.monotonic() < until, f"the demo did not start within {_START_SECONDS} s: {demo.said}"
        time.sleep(0.1)


def still_running(pids: list[int]) -> list[int]:
    """Those of the processes that have not ended."""
    return [pid for pid in pids if is_running(pid)]
