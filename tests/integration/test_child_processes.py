"""A child process ends with its parent, on systems whose kernel helps and on those where a watchdog must."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.embedded.child import run_child, spawn_child
from services.embedded.errors import EmbeddedError
from services.embedded.processes import children_of, is_running

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
import sys, time
from pathlib import Path
from services.embedded import child

child._KERNEL_TIES = sys.argv[1] == "kernel"
print(child.spawn_child(["sleep", "300"], log=Path(sys.argv[2])).pid, flush=True)
time.sleep(300)
"""


def wait_until_gone(*pids: int) -> None:
    until = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, f"still running: {pids}"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "tie",
    [
        pytest.param(
            "kernel", marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the system call")
        ),
        "watchdog",
    ],
)
def test_a_child_ends_when_its_parent_is_killed(tie: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, tie, tmp_path / "log"], cwd=ROOT, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.3)  # the child becomes its program, and its watchdog starts
        watchdogs = children_of(child)
        assert is_running(child)
        assert len(watchdogs) == (tie == "watchdog")
        parent.send_signal(signal.SIGKILL)

    wait_until_gone(child, *watchdogs)


def test_a_watchdog_goes_when_its_child_ends_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.embedded.child._KERNEL_TIES", False)
    child = spawn_child(["sleep", "300"], log=tmp_path / "log")
    time.sleep(0.3)
    watchdogs = children_of(child.pid)

    child.terminate()
    child.wait()

    assert len(watchdogs) == 1
    wait_until_gone(*watchdogs)


def test_a_child_is_not_started_from_a_thread_it_would_die_with(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="main thread"):
        pool.submit(spawn_child, ["sleep", "300"], log=tmp_path / "log").result()


def test_what_a_child_says_is_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"

    assert run_child(["cat"], log=log, words=b"hello") == 0
    assert log.read_text() == "hello"


def test_a_program_that_does_not_exist_is_told_by_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"

    assert run_child([tmp_path / "nothing"], log=log) != 0
    assert "nothing cannot be run: No such file" in log.read_text()


def test_an_unknown_account_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="no account nosuchuser"):
        run_child(["true"], log=tmp_path / "log", user="nosuchuser")
