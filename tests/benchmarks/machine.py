"""The machine under the figures, and how much processor time processes have used."""

import os
import platform
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
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    total += cpu_seconds(int(entry.name))
            except (OSError, ValueError):
                continue
    return total
