"""Counting the rows of lost topics takes its time, and never most of the relay's."""

from typing import Any, cast

from aiokafka import AIOKafkaProducer

from services.chassis.lost_topics import LostTopics
from services.chassis.metrics import Metrics


class Connection:
    """Millions of rows: each count takes 50 seconds and breaks off where it may not, and forgetting takes 10."""

    def __init__(self) -> None:
        self.now = 0.0
        self.counted: list[float] = []

    async def fetch(self, _: str, __: Any, *, timeout: float | None = 30.0) -> list[dict[str, Any]]:
        if timeout is None or timeout < 50:
            raise TimeoutError
        self.counted.append(self.now)
        self.now += 50
        return [{"topic": "gone.v1", "n": 10_000_000}]

    async def execute(self, *_: Any, **__: Any) -> None:
        self.now += 10


class Client:
    """A broker that does not know the topic."""

    client = cluster = property(lambda self: self)

    def add_topic(self, _: str) -> None:
        pass

    async def force_metadata_update(self) -> None:
        pass

    def partitions_for_topic(self, _: str) -> None:
        return None


async def test_counting_millions_of_rows_is_waited_for_and_takes_a_twentieth_of_the_time_at_most() -> None:
    connection, broker = cast("Any", Connection()), cast("AIOKafkaProducer", Client())
    lost = LostTopics(Metrics(), lambda: connection.now)
    await lost.learn(connection, [0])
    while connection.now < 2_500:
        connection.now += 10
        await lost.look(connection, broker, [0])
    assert lost.rows == {"gone.v1": 10_000_000}
    # Begun 1,000 s after the 50 of the first, and 1,200 s after the 60 of the second.
    assert connection.counted == [0, 1050 + 10, 2310 + 10]
