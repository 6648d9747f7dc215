"""The whole system in processes of its own, and how to judge it from outside.

The oracles share nothing with the services: recipients keep their own log of what was acknowledged, counters
are compared with a fold in one snapshot while faults happen, topics are read from their start to their end.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import asyncpg

from services.audit import run_audit
from services.chassis.environment import load_settings
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import OwnConnection, connect
from services.chassis.settings import PREFIX, Settings
from services.demo.inbox import ViewerPages
from services.demo.people import Case, Town, now
from services.demo.place import POLICIES, free_ports
from services.demo.recipients import Recipients
from services.demo.report import count_missing
from services.demo.runtime import prepare
from services.demo.supervisor import SERVICES, Supervisor
from services.demo.upstream import Upstream
from services.embedded.child import end_child, spawn_child
from services.embedded.servers import Servers
from tests.conftest import SEALING_KEY
from tests.faults.changed_minds import ChangedMinds
from tests.faults.looks import lost_links, on_its_way, wrong_counters, wrong_requests
from tests.faults.topics import Topics
from tests.faults.waiting import until

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_LOOKS_A_SECOND = float(os.environ.get("FAULT_LOOKS", "1"))
"""How often the counters are compared with their fold while faults happen; five times with `make test-faults`."""


@dataclass(slots=True)
class RunningSystem:
    """Servers, services, recipients, and what was seen of them.

    Attributes:
        published: different deliveries that Kafka acknowledged to us.
        wrong: what a look during a fault found that must never be.
        looks: how often was looked.
        minds: what recipients change of their answers afterwards.
        knows_links: whether no version runs that calls a link unknown before all invitations are read.
    """

    folder: Path
    servers: Servers
    variables: dict[str, str]
    settings: Settings
    supervisor: Supervisor
    recipients: Recipients
    town: Town
    topics: Topics
    published: int = 0
    wrong: list[str] = field(default_factory=list)
    looks: int = 0
    minds: ChangedMinds = field(init=False)
    knows_links: bool = True
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _work: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.minds = ChangedMinds(self.recipients, self.wrong)

    @classmethod
    async def start(
        cls,
        folder: Path,
        servers: Servers,
        made: Callable[[Settings], Awaitable[None]] = prepare,
        *,
        reached_by: Mapping[str, str] = MappingProxyType({}),
        **further: str,
    ) -> "RunningSystem":
        """Topics, tables, services, recipients; returns when all services are ready.

        `made` makes topics and tables; `further` is added to what the services find in their environment, and by
        `reached_by` they alone find the servers elsewhere.
        """
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        variables = {
            PREFIX + "KAFKA_BOOTSTRAP": servers.kafka.bootstrap,
            PREFIX + "POSTGRES_DSN": servers.postgres.dsn(),
            PREFIX + "KAFKA_PARTITIONS": "3",
            **{f"{PREFIX}{service.upper()}_PORT": str(port) for service, port in ports.items()},
            PREFIX + "PUBLIC_URL": f"http://127.0.0.1:{ports['survey']}",
            PREFIX + "SEALING_KEY": SEALING_KEY,
            PREFIX + "POLICIES_FOLDER": str(POLICIES),  # the default ones let nothing out at night
            PREFIX + "INSTANCE": "first",
            PREFIX + "SEND_LEASE_SECONDS": "4",
            PREFIX + "ANTI_ENTROPY_SECONDS": "5",
            PREFIX + "WRONG_LINKS_PER_MINUTE": "1000000",  # all people come from one address here
            PREFIX + "LOG_FORMAT": "json",
            **further,
        }
        settings = load_settings(variables)
        variables |= reached_by
        await made(settings)
        recipients = Recipients(
            ViewerPages(f"http://127.0.0.1:{ports['notifier']}"),
            f"http://127.0.0.1:{ports['survey']}",
            {},
            recent=deque(),
        )
        supervisor = Supervisor(
            variables, folder / "logs", {service: f"http://127.0.0.1:{port}" for service, port in ports.items()}
        )
        system = cls(
            folder, servers, variables, settings, supervisor, recipients, Town(1, settings.brand), Topics(settings)
        )
        system._work = [
            asyncio.create_task(supervisor.run(system._stop)),
            asyncio.create_task(recipients.run(system._stop)),
        ]
        async with asyncio.timeout(60):
            await supervisor.wait_until_ready(system._stop)
            await recipients.ready.wait()
        return system

    async def end(self) -> None:
        """End the recipients and the services."""
        self._stop.set()
        await asyncio.gather(*self._work)

    # -- load --

    @asynccontextmanager
    async def load(self, rate: float) -> AsyncIterator[Upstream]:
        """Deliveries at a rate and answers that change, while the counters are looked at again and again."""
        cases: Iterator[Case] = iter(lambda: self.town.next_case(now()), None)
        upstream = Upstream(self.settings, cases, rate, self.recipients.behaviours)
        looked, began = self.looks, time.monotonic()
        stop = asyncio.Event()
        work = [
            asyncio.create_task(upstream.run(stop)),
            asyncio.create_task(self.minds.run(stop)),
            asyncio.create_task(self._look_again_and_again(stop)),
        ]
        try:
            yield upstream
        finally:
            stop.set()
            async with asyncio.timeout(60):
                await asyncio.gather(*work)
        self.published += upstream.published
        print(f"{self.looks - looked} looks at every counter in {time.monotonic() - began:.0f} s of load")
        assert self.looks > looked
        assert self.wrong == []

    # -- looking while faults happen --

    async def _look_again_and_again(self, stop: asyncio.Event) -> None:
        connections: list[OwnConnection] = []
        while not stop.is_set():
            began = time.monotonic()
            try:
                if not connections:
                    connections += [await connect(self.settings, s) for s in ("aggregator", "notifier")]
                await self._look(*connections)
                self.looks += 1
            except AWAY:
                for connection in connections:
                    connection.terminate()
                connections.clear()
            await pause_or_stop(max(0.0, 1 / _LOOKS_A_SECOND - (time.monotonic() - began)), stop)
        for connection in connections:
            await connection.close()

    async def _look(self, aggregator: OwnConnection, notifier: OwnConnection) -> None:
        self.wrong += await wrong_counters(aggregator)  # noted also where the notifier's tables are away
        self.wrong += await wrong_requests(notifier)

    async def number(self, service: str, question: str) -> int:
        """The answer of a service's tables to a question with one number; -1 while PostgreSQL is away."""
        try:
            connection = await connect(self.settings, service)
        except AWAY:
            return -1
        try:
            return int(await connection.fetchval(question))
        except AWAY:
            return -1
        finally:
            connection.terminate()

    # -- faults --

    def pause(self, service: str) -> None:
        """SIGSTOP: the process is gone for everybody, but does not know it."""
        os.kill(self.supervisor.pid(service), signal.SIGSTOP)

    def wake(self, service: str) -> None:
        """SIGCONT."""
        os.kill(self.supervisor.pid(service), signal.SIGCONT)

    @contextmanager
    def second(self, service: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """A second process of a service, as on another machine."""
        own = {"INSTANCE": "second", f"{service.upper()}_PORT": str(free_ports(1)[0]), **settings}
        process = spawn_child(
            [sys.executable, "-m", "services", service],
            log=self.folder / "logs" / f"{service}-{own['INSTANCE']}.log",
            env={**os.environ, **self.variables, **{PREFIX + name: text for name, text in own.items()}},
        )
        try:
            yield process
        finally:
            if not end_child(process, signal.SIGTERM, 20):
                process.kill()
                process.wait()

    async def deploy(self, service: str, *, within: float = 20) -> int | None:
        """SIGTERM, as a deploy does; returns the exit code, None when it did not end in time. It is started again."""
        await self.supervisor.wait_until_ready(self._stop)  # one that starts has nothing to drain and just ends
        process = self.supervisor._processes[service]
        self.supervisor.held.add(service)
        try:
            ended = await asyncio.to_thread(end_child, process, signal.SIGTERM, within)
            if process.returncode != 0:
                log = (self.folder / "logs" / f"{service}.log").read_text(encoding="utf-8")
                print(f"the last words of {service}:", *log.splitlines()[-30:], sep="\n")
            return process.returncode if ended else None
        finally:
            self.supervisor.release(service)

    async def restart_kafka(self) -> None:
        """Start the broker again, on the same port with the same data."""
        self.servers.kafka.prepare()
        self.servers.kafka.launch()
        await asyncio.to_thread(self.servers.kafka.wait_until_ready)

    async def restart_postgres(self) -> None:
        """Start PostgreSQL again, on the same port with the same data."""
        await asyncio.to_thread(self.servers.postgres.prepare)
        self.servers.postgres.launch()
        await asyncio.to_thread(self.servers.postgres.wait_until_ready)
        await until(self._postgres_writes, "PostgreSQL to have recovered")

    async def _postgres_writes(self) -> bool:
        try:
            await (await connect(self.settings, "public")).close()
        except asyncpg.CannotConnectNowError:
            return False  # it lets readers see an earlier state
        return True

    # -- the verdict --

    async def check(self) -> None:
        """Wait until nothing is on its way any more, then judge everything that ever happened."""
        await until(self._everybody_is_done, "nothing to be on its way", seconds=120, tell=self._whereabouts)
        await self.topics.check_everything_is_read()  # what is read only now touches cells once more
        assert not [t for t in self._work if t.done()]
        audit = await run_audit(self.settings, wait=30)
        assert audit.clean, audit.lines()
        # What the audit waited for touched cells again.
        await until(self._everybody_is_done, "the last cells to be published", seconds=120, tell=self._whereabouts)
        assert audit.counted == audit.acknowledged == len(self.recipients.acknowledged)
        assert await count_missing(self.settings, self.recipients.acknowledged.values()) == 0
        told_unknown = {"open 404", "open 429", "tap 404"} & self.recipients.retries.keys()
        assert not (told_unknown and self.knows_links), "a link that was sent is never called unknown"
        notifier = await connect(self.settings, "notifier")
        aggregator = await connect(self.settings, "aggregator")
        try:
            await self._look(aggregator, notifier)
            assert self.wrong == []
            twice = "SELECT count(*) - count(DISTINCT person) FROM viewer_message"
            assert await notifier.fetchval(twice) == 0
            await self.topics.check_cells(aggregator)
        finally:
            await notifier.close()
            await aggregator.close()
        await self.topics.check_revisions()
        await self.topics.check_everything_is_read()

    async def _everybody_is_done(self) -> bool:
        found = await on_its_way(self.settings)
        return (
            found.ledger["delivered"] == self.published
            and found.ledger["pending"] == 0
            and not found.waiting
            and self.recipients.handled == found.messages
        )

    async def _whereabouts(self) -> str:
        return (
            f"published {self.published}, handled {self.recipients.handled}, {self.recipients.retries},"
            f" {await on_its_way(self.settings)}, {await lost_links(self.settings)}"
        )
