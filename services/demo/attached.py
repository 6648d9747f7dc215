"""Services that run elsewhere, as in containers: the demo only looks whether they are well."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from services.chassis.failures import TryAgain
from services.chassis.pauses import pause_or_stop


class Services(Protocol):
    """What the demo needs of the three services, whoever runs them."""

    urls: Mapping[str, str]
    kills: dict[str, int]

    def running(self) -> dict[str, bool]:
        """Which services run."""

    def kill(self, service: str) -> None:
        """Kill -9."""

    def hold(self, service: str) -> None:
        """Kill a service and keep it down."""

    def release(self, service: str) -> None:
        """Let a held service run again."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run or watch the services until stopped."""

    async def wait_until_ready(self, stop: asyncio.Event) -> None:
        """Return when every service says that it can do its work."""


@dataclass(slots=True)
class Attached:
    """Services that others start and stop."""

    urls: Mapping[str, str]
    kills: dict[str, int] = field(default_factory=dict)
    _well: dict[str, bool] = field(default_factory=dict)

    def running(self) -> dict[str, bool]:
        """Which services answered a moment ago."""
        return {service: self._well.get(service, False) for service in self.urls}

    def kill(self, service: str) -> None:
        """Not ours to kill."""
        raise TryAgain(f"the {service} runs elsewhere: stop it where it runs, for example with docker compose kill")

    def hold(self, service: str) -> None:
        """Not ours to stop."""
        self.kill(service)

    def release(self, service: str) -> None:
        """Not ours to start."""
        self.kill(service)

    async def run(self, stop: asyncio.Event) -> None:
        """Look after the services' health until stopped."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while not await pause_or_stop(1.0, stop):
                self._well = {s: await _answers(session, url, "live") for s, url in self.urls.items()}

    async def wait_until_ready(self, stop: asyncio.Event) -> None:
        """Return when every service says that it can do its work."""
        await all_ready(self.urls, stop)


async def all_ready(urls: Mapping[str, str], stop: asyncio.Event) -> None:
    """Return when every service says that it can do its work, or when stopped."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        for url in urls.values():
            while not stop.is_set() and not await _answers(session, url, "ready"):
                await pause_or_stop(0.1, stop)


async def _answers(session: aiohttp.ClientSession, url: str, question: str) -> bool:
    try:
        async with session.get(f"{url}/health/{question}") as reply:
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
