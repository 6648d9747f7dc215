"""What the system's list of processes says: Linux has it in files, elsewhere `ps` tells."""

import subprocess
import sys
from pathlib import Path

_IN_FILES = sys.platform.startswith("linux")


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended (one that waits to be collected has)."""
    state, _ = _state_and_parent(pid)
    return state not in {"", "Z", "X"}


def program_of(pid: int) -> str:
    """The name of the process's program, known until it has ended; empty when there is none."""
    if not _IN_FILES:
        return _ps(pid, "comm=").strip()
    return _stat(pid).partition("(")[2].rpartition(")")[0]


def children_of(pid: int) -> list[int]:
    """The processes that this one started and that still exist."""
    if not _IN_FILES:
        rows = [line.split() for line in _ps(None, "pid=,ppid=").splitlines()]
        return [int(child) for child, parent in rows if int(parent) == pid]
    others = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [other for other in others if _state_and_parent(other)[1] == pid]


def _state_and_parent(pid: int) -> tuple[str, int]:
    if not _IN_FILES:
        columns = _ps(pid, "state=,ppid=").split()
        return (columns[0][0], int(columns[1])) if columns else ("", 0)
    columns = _stat(pid).rpartition(")")[2].split()  # the name before it may hold anything
    return (columns[0], int(columns[1])) if columns else ("", 0)


def _stat(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""


def _ps(pid: int | None, columns: str) -> str:
    whose = ["-A"] if pid is None else ["-p", str(pid)]
    return subprocess.run(["ps", *whose, "-o", columns], capture_output=True, text=True, check=False).stdout
