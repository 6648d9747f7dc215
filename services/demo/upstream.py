"""The simulated logistics system: publishes deliveries as an upstream system would, as real Kafka records."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.cloudevents import Event, to_headers
from schemas.disruption import Area, DeliveryDisruption, DisruptionKind, DisruptionState
from schemas.topics import DELIVERY_COMPLETED, DELIVERY_DISRUPTION
from services.chassis.kafka import make_producer, start_with_patience
from services.chassis.pauses import pause_or_stop
from services.chassis.settings import Settings
from services.chassis.tracing import new_traceparent
from services.demo.people import Behaviour, Case, now

_NAMES = {DisruptionKind.WEATHER: "rain", DisruptionKind.STRIKE: "strike"}
_AREAS = {
    DisruptionKind.WEATHER: Area(country="SE"),
    DisruptionKind.STRIKE: Area(country="SE", terminals=("Malmö", "Växjö")),
}
_WORDS = {
    DisruptionKind.WEATHER: {"sv": "Kraftigt regn", "en": "Heavy rain"},
    DisruptionKind.STRIKE: {"sv": "Strejk vid terminalen", "en": "Strike at the terminal"},
}
_BURST = 500
_TICK = 0.05


@dataclass(slots=True)
class Upstream:
    """Publishes cases at a rate until there are none, remembering what each recipient will do.

    Attributes:
        rate: deliveries a second; 0 is as fast as Kafka takes them.
        published: different deliveries that Kafka acknowledged.
        records: records that Kafka acknowledged, repeats included.
    """

    settings: Settings
    cases: Iterator[Case]
    rate: float
    behaviours: dict[str, Behaviour]
    published: int = 0
    records: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _told: dict[DisruptionKind, DeliveryDisruption] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until the cases end or `stop` is set."""
        producer = make_producer(self.settings, client="kvittera-demo-upstream")
        await start_with_patience(producer.start, self.settings, "the simulated upstream")
        try:
            await self._publish_all(producer, stop)
        finally:
            self.done.set()
            await producer.stop()

    def tells(self, kind: DisruptionKind) -> bool:
        """Whether deliveries are disrupted so, as was told last."""
        told = self._told.get(kind)
        return told is not None and told.state is DisruptionState.ACTIVE

    async def tell(self, kind: DisruptionKind, *, on: bool) -> None:
        """Publish that rain or a strike begins or ends, as a control room would: one disruption, revised."""
        before = self._told.get(kind)
        disruption = DeliveryDisruption(
            disruption_id=before.disruption_id if before else f"{_NAMES[kind]}-{uuid4().hex[:10]}",
            revision=before.revision + 1 if before else 1,
            kind=kind,
            state=DisruptionState.ACTIVE if on else DisruptionState.OVER,
            areas=(_AREAS[kind],),
            starts_at=before.starts_at if before and not on else now(),
            ends_at=None if on else now(),
            published_at=now(),
            text=_WORDS[kind],
        )
        self._told[kind] = disruption
        event = Event(id=str(uuid4()), source="/demo/control-room", type=DELIVERY_DISRUPTION, time=now(), data=b"")
        producer = make_producer(self.settings, client="kvittera-demo-control-room")
        await start_with_patience(producer.start, self.settings, "the simulated control room")
        try:
            value = disruption.model_dump_json(exclude_none=True).encode()
            key = disruption.disruption_id.encode()
            await producer.send_and_wait(DELIVERY_DISRUPTION, value, key=key, headers=to_headers(event))
        finally:
            await producer.stop()

    async def _publish_all(self, producer: AIOKafkaProducer, stop: asyncio.Event) -> None:
        owed = 1.0
        last = time.monotonic()
        while not stop.is_set():
            batch = []
            for _ in range(_BURST if self.rate == 0 else min(_BURST, int(owed))):
                case = next(self.cases, None)
                if case is None:
                    break
                batch.append(case)
            await self._publish(producer, batch)
            exhausted = not batch and (self.rate == 0 or owed >= 1)
            if exhausted:
                return
            if self.rate:
                await pause_or_stop(_TICK, stop)
                elapsed, last = time.monotonic() - last, time.monotonic()
                owed = min(_BURST, owed - len(batch) + elapsed * self.rate)

    async def _publish(self, producer: AIOKafkaProducer, batch: list[Case]) -> None:
        # Remembered first: the request may arrive before the acknowledgement does.
        for case in batch:
            # Who has a message that is not read yet reads that one first.
            self.behaviours.setdefault(case.address, case.behaviour)
        waiting = [(case, n) for case in batch for n in range(case.repeats)]
        while waiting:
            futures = [await producer.send(DELIVERY_COMPLETED, **record_of(case)) for case, _ in waiting]
            results = await asyncio.gather(*futures, return_exceptions=True)
            failed = [w for w, r in zip(waiting, results, strict=True) if isinstance(r, KafkaError | TimeoutError)]
            self.records += len(waiting) - len(failed)
            waiting = failed  # sent again: a delivery that comes twice is asked about once
        self.published += len(batch)


def record_of(case: Case) -> dict[str, object]:
    """A delivery as a Kafka record: CloudEvents in binary mode, keyed by the delivery."""
    facts = case.delivery.delivery
    event = Event(
        id=str(uuid4()),
        source="/demo/upstream",
        type=DELIVERY_COMPLETED,
        time=facts.occurred_at,
        data=b"",
        traceparent=new_traceparent(),
    )
    return {
        "key": facts.delivery_id.encode(),
        "value": case.delivery.model_dump_json(exclude_none=True).encode(),
        "headers": to_headers(event),
    }
