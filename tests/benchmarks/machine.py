"""The machine under the figures, and how much processor time processes have used."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def describe_machine() -> str:
    """Cores, load and Python, in a line."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start, Python {platform.python_version()}"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its threads, and children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(f) for f in fields[11:15]) / _TICK


def family_cpu_seconds(pid: int) -> float:
    """The same for a process and all its living children (PostgreSQL's backends)."""
    total = cpu_seconds(pid)
    for child in _children(pid):
        with contextlib.suppress(OSError):
            total += cpu_seconds(child)
    return total


def _children(pid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    yield int(entry.name)


def resident_mib(pid: int) -> float:
    """Memory that a process holds, in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib(pid: int) -> float:
    """The most memory that a process has held so far, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def flush_microseconds(folder: Path, times: int = 500, share: float = 0.5) -> float:
    """Time to put 8 KiB more on this disk with fdatasync that this share does not exceed: the floor of every commit."""
    found = []
    with (folder / "flush").open("wb") as file:
        for _ in range(times):
            file.write(b"x" * 8192)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - began)
    return sorted(found)[int(len(found) * share)] * 1e6


def peak_memory_mib(pid: int) -> float:
    """The most memory that a process has held, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def family_memory_mib(pid: int) -> float:
    """Memory of a process and its children now, what they share counted once, in MiB."""
    total = 0.0
    for member in [pid, *_children(pid)]:
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
    return total
