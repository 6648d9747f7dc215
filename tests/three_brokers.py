"""Three real Kafka brokers on this machine, each also a controller, as the smallest cluster for production has them."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.topics import CARDS
from services.chassis.kafka import make_admin
from services.chassis.settings import Settings
from services.embedded.kafka import EmbeddedKafka
from services.embedded.kafka_config import new_id
from services.embedded.ports import free_port

NUMBERS = (1, 2, 3)
_OWN_TOPICS = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
# Three copies of everything, two of them in sync before a record is acknowledged. What the embedded broker sets for a
# quick start of a lone one is as Kafka has it, since it decides how soon a dead broker is noticed.
_AS_IN_PRODUCTION = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    **{f"{topic}.replication.factor": "3" for topic in _OWN_TOPICS},
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.min.isr": "2",
    "group.initial.rebalance.delay.ms": "3000",
    "broker.session.timeout.ms": "9000",
    "broker.heartbeat.interval.ms": "2000",
    "metadata.max.idle.interval.ms": "500",
}


class Broker(EmbeddedKafka):
    """One of the brokers, which finds its peers by the ports of their controllers."""

    def __init__(self, folder: Path, number: int, cluster: str, controllers: Mapping[int, int]) -> None:
        own = "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:" + str(controllers[number])
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in controllers.items())
        place = {"node.id": str(number), "controller.quorum.voters": voters, "listeners": own}
        super().__init__(folder / str(number), heap="256m", settings=_AS_IN_PRODUCTION | place)
        self._identity = f"version=1\ncluster.id={cluster}\nnode.id={number}\ndirectory.id={new_id()}\n"

    def _format(self) -> None:
        super()._format()
        self._properties_of_data.write_text(self._identity)


class ThreeBrokers:
    """The brokers by their numbers, and what the cluster says of itself."""

    def __init__(self, folder: Path) -> None:
        controllers: dict[int, int] = {}
        while len(controllers) < len(NUMBERS):
            if (port := free_port()) not in controllers.values():
                controllers[len(controllers) + 1] = port
        cluster = new_id()
        self.brokers = {n: Broker(folder, n, cluster, controllers) for n in NUMBERS}

    @property
    def bootstrap(self) -> str:
        """The addresses for clients."""
        return ",".join(broker.bootstrap for broker in self.brokers.values())

    def launch(self, numbers: Collection[int] = NUMBERS) -> None:
        """Start brokers without waiting: one alone is not ready before a second controller runs."""
        for n in numbers:
            self.brokers[n].prepare()
            self.brokers[n].launch()

    async def start_again(self, *numbers: int) -> None:
        """Start brokers on their ports with their data, and wait until they take requests."""
        self.launch(numbers)
        await asyncio.gather(*(asyncio.to_thread(self.brokers[n].wait_until_ready) for n in numbers))

    def kill(self, *numbers: int) -> None:
        """Kill -9, all of them at once."""
        for n in numbers:
            os.kill(self.brokers[n].pid, signal.SIGKILL)
        for n in numbers:
            self.brokers[n].kill()

    def pause(self, number: int) -> None:
        """SIGSTOP: its connections stay, and nothing comes from it."""
        os.kill(self.brokers[number].pid, signal.SIGSTOP)

    def wake(self, number: int) -> None:
        """SIGCONT: it goes on as if it still led what it led."""
        os.kill(self.brokers[number].pid, signal.SIGCONT)


@contextmanager
def three_brokers(folder: Path) -> Iterator[ThreeBrokers]:
    """Start all three, and end them at the end, also one that is paused; on the main thread."""
    cluster = ThreeBrokers(folder)
    try:
        cluster.launch()
        for broker in cluster.brokers.values():
            broker.wait_until_ready()
        yield cluster
    finally:
        for broker in cluster.brokers.values():
            broker.kill()


async def partitions_now(settings: Settings, topics: Sequence[str] = tuple(CARDS)) -> list[Mapping[str, Any]]:
    """Leader, copies and copies in sync of every partition of the topics, as some broker knows them."""
    admin = make_admin(settings)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return [partition for topic in described for partition in topic["partitions"]]


async def all_in_sync(settings: Settings) -> bool:
    """Whether every partition is led, and all its copies have what was acknowledged."""
    parts = await partitions_now(settings)
    return all(p["leader"] >= 0 and len(p["isr"]) == len(p["replicas"]) == len(NUMBERS) for p in parts)


async def leads_most(settings: Settings) -> int:
    """The broker that leads most partitions of our topics."""
    ((number, _),) = Counter(p["leader"] for p in await partitions_now(settings)).most_common(1)
    return int(number)


async def coordinator_of(settings: Settings, group: str) -> int:
    """The broker that keeps a consumer group."""
    admin = make_admin(settings)
    await admin.start()
    try:
        return int(await admin.find_coordinator(group))
    finally:
        await admin.close()
