"""The three services as processes of their own, started again when they end."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.chassis.failures import MustStop
from services.chassis.pauses import pause_or_stop
from services.demo.attached import all_ready
from services.embedded.child import end_child, spawn_child

SERVICES = ("notifier", "survey", "aggregator")
_REFUSED = 2  # the exit code of a service that must not run: starting it again would not help
_REFUSAL = "kvittera: "
"""How the sentence begins that such a service ends with."""
_LOG_TAIL = 4000


@dataclass(slots=True)
class Supervisor:
    """Starts the services, keeps them running, and can kill them like a crash would.

    Attributes:
        urls: where each service listens.
        kills: how often each service was killed on purpose.
        held: services that stay down until released.
    """

    environment: Mapping[str, str]
    logs: Path
    urls: Mapping[str, str]
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SERVICES, 0))
    held: set[str] = field(default_factory=set)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, service: str) -> None:
        """Start a service; it ends when we do, however we end."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._processes[service] = spawn_child(
            [sys.executable, "-m", "services", service],
            log=self.logs / f"{service}.log",
            env={**os.environ, **self.environment},
        )

    def running(self) -> dict[str, bool]:
        """Which services run."""
        return {s: (p := self._processes.get(s)) is not None and p.poll() is None for s in SERVICES}

    def pid(self, service: str) -> int:
        """The process id of a service."""
        return self._processes[service].pid

    def kill(self, service: str) -> None:
        """Kill -9."""
        process = self._processes[service]
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.kills[service] += 1

    def hold(self, service: str) -> None:
        """Kill a service and keep it down."""
        self.held.add(service)
        self.kill(service)

    def release(self, service: str) -> None:
        """Let a held service run again."""
        self.held.discard(service)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every service running until stopped, then let all finish their work and end.

        Raises:
            MustStop: a service refuses to run; its own words are in the message.
        """
        for service in SERVICES:
            self.start(service)
        try:
            while not await pause_or_stop(0.1, stop):
                for service, runs in self.running().items():
                    if runs or service in self.held:
                        continue
                    if self._processes[service].returncode == _REFUSED:
                        raise MustStop(f"the {service} refuses to run: {self._last_words(service)}")
                    self.start(service)
        finally:
            await self._end_all()

    def _last_words(self, service: str) -> str:
        lines = (self.logs / f"{service}.log").read_text(errors="replace")[-_LOG_TAIL:].strip().splitlines()
        # Libraries may log while the process ends, after what it says itself.
        own = [line.removeprefix(_REFUSAL) for line in lines if line.startswith(_REFUSAL)]
        return (own or lines or [""])[-1]

    async def _end_all(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            if not await asyncio.to_thread(end_child, process, signal.SIGTERM, 20):
                process.kill()
                process.wait()

    async def wait_until_ready(self, stop: asyncio.Event) -> None:
        """Return when every service says that it can do its work."""
        await all_ready(self.urls, stop)
