"""Child processes tied to the life of this one: a kill -9 of the parent leaves none of them."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.embedded.errors import EmbeddedError, from_os_error

_TIED_EXEC = Path(__file__).with_name("tied_exec.py")
_KERNEL_TIES = sys.platform.startswith("linux")


def spawn_child(
    argv: Sequence[str | Path],
    *,
    user: str | None = None,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program that gets `death_signal` when this process dies, however it dies.

    It runs in its own session, so a Ctrl-C in the terminal reaches only the parent. What it prints is
    appended to `log`. With `user` (needs root) it runs as that account.

    Raises:
        EmbeddedError: the log cannot be written, or the account is unknown.
        RuntimeError: called off the main thread; Linux would end the child together with the thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start servers from the main thread: a child ends with the thread that started it")
    return _spawn(argv, user=user, log=log, env=env, cwd=cwd, death_signal=death_signal)


def run_child(
    argv: Sequence[str | Path],
    *,
    user: str | None = None,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    words: bytes = b"",
) -> int:
    """Run a short program to its end, from any thread, feeding it `words`; return its exit status."""
    with _spawn(argv, user=user, log=log, env=env, cwd=cwd, death_signal=signal.SIGKILL, piped=True) as child:
        child.communicate(words)
        return child.returncode


def _spawn(
    argv: Sequence[str | Path],
    *,
    user: str | None,
    log: Path,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    death_signal: signal.Signals,
    piped: bool = False,
) -> subprocess.Popen[bytes]:
    account = _account_ids(user)
    program = shutil.which(argv[0]) or argv[0]
    pipe = -1 if _KERNEL_TIES else _pipe_that_closes_at_death()
    tie = [os.getpid(), int(death_signal), pipe, *account]
    try:
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", _TIED_EXEC, *map(str, tie), program, *argv[1:]],
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                pass_fds=[] if pipe < 0 else [pipe],
            )
    except OSError as error:
        raise from_os_error(error, log.parent, f"Starting {Path(program).name}") from error
    finally:
        if pipe >= 0:
            os.close(pipe)


def _account_ids(user: str | None) -> tuple[int, int]:
    if user is None:
        return -1, -1
    try:
        account = pwd.getpwnam(user)
    except KeyError as error:
        raise EmbeddedError(f"This system has no account {user}: start as a normal user, not as root.") from error
    return account.pw_uid, account.pw_gid


def _pipe_that_closes_at_death() -> int:
    """The end a watchdog reads; the other stays open, on purpose, until this process ends."""
    watched, _ = os.pipe()
    return watched


def end_child(child: subprocess.Popen[bytes], with_signal: signal.Signals, within_s: float) -> bool:
    """Send the signal and wait; True when the child has ended in time."""
    if child.poll() is None:
        child.send_signal(with_signal)
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True
