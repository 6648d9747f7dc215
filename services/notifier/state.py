"""What the notifier hears beside deliveries: wishes, disruptions, corrections and answers.

Each leaves one row, whatever comes twice or late, and stops at once what it stops and is not on its way yet.
The claim reads the same rows again, so that neither order of a race lets a request out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import asyncpg
import orjson
from aiokafka import ConsumerRecord

from schemas.contract import Contract
from schemas.delivery import Correction, DeliveryCorrected, DeliveryFacts
from schemas.disruption import DeliveryDisruption
from schemas.invitation import Outcome
from schemas.recipient import PreferenceChanged
from schemas.response import ResponseRecorded
from schemas.topics import (
    DELIVERY_CORRECTED,
    DELIVERY_DISRUPTION,
    PREFERENCE_CHANGED,
    RESPONSE_RECORDED,
)
from services.chassis.failures import Poison
from services.chassis.meanings import Decode
from services.chassis.metrics import Metrics
from services.chassis.persons import Person, read_person
from services.chassis.postgres import Database, named_sql
from services.chassis.records import Received, reading
from services.notifier.arriving import refuse_the_future
from services.notifier.telling import changes, tell

GROUP = "kvittera-notifier-state"
MODELS: Mapping[str, type[Contract]] = {
    PREFERENCE_CHANGED: PreferenceChanged,
    DELIVERY_DISRUPTION: DeliveryDisruption,
    DELIVERY_CORRECTED: DeliveryCorrected,
    RESPONSE_RECORDED: ResponseRecorded,
}
M = TypeVar("M", bound=Contract)
K = TypeVar("K")


def reading_state() -> Decode[Received[Contract]]:
    """A decoder for all the topics in MODELS; facts that are corrected into the future are put aside."""
    by_topic = {topic: reading(model, GROUP) for topic, model in MODELS.items()}

    def read(record: ConsumerRecord) -> Received[Contract] | None:
        received = by_topic[record.topic](record)
        match received:
            case Received(
                message=DeliveryCorrected(what=Correction.FACTS_CORRECTED, delivery=DeliveryFacts() as facts),
                appended_at=appended_at,
            ):
                # An erasure covers all that is known: one wrong year would have it cover all that is still to come.
                refuse_the_future(facts.occurred_at, appended_at)
        return received

    return read


@dataclass(frozen=True, slots=True)
class KeepState:
    """Keeps what was heard and withholds what it stops, inside the fence's transaction."""

    now: Callable[[], datetime]
    metrics: Metrics = field(default_factory=Metrics)
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier", "queries.sql", "state.sql"))

    async def __call__(self, connection: Database, heard: Sequence[Received[Contract]]) -> None:
        """Keep a batch. Repeated and older records change nothing."""
        messages = [r.message for r in heard]
        await self._disruptions(connection, _of(DeliveryDisruption, messages))
        stopped = await self._preferences(connection, _of(PreferenceChanged, messages))
        stopped += await self._corrections(connection, _of(DeliveryCorrected, messages))
        stopped += await self._answers(connection, _of(ResponseRecorded, messages))
        await tell(connection, self.sql, changes(stopped, Outcome.SUPPRESSED, self.now()))

    async def _disruptions(self, connection: Database, heard: Iterable[DeliveryDisruption]) -> None:
        last = _last(heard, lambda d: d.disruption_id, lambda d: d.revision)
        if last:
            await connection.execute(
                self.sql["keep_disruptions"],
                [d.disruption_id for d in last],
                [d.revision for d in last],
                [d.state.value for d in last],
                [d.starts_at for d in last],
                [d.ends_at for d in last],
                [d.model_dump_json(exclude_none=True) for d in last],
            )

    async def _preferences(self, connection: Database, heard: Iterable[PreferenceChanged]) -> list[asyncpg.Record]:
        last = _last(heard, lambda p: p.person_id, lambda p: (p.changed_at, p.never))
        if not last:
            return []
        kept = await connection.fetch(
            self.sql["keep_preferences"],
            [_person(p.person_id) for p in last],
            [p.never for p in last],
            [p.most_per_year for p in last],
            [p.only_channel for p in last],
            [p.changed_at for p in last],
        )
        never = [r["person"] for r in kept if r["never"]]
        return await connection.fetch(self.sql["withhold_persons"], never) if never else []

    async def _corrections(self, connection: Database, heard: Iterable[DeliveryCorrected]) -> list[asyncpg.Record]:
        last = _last(heard, lambda c: (c.delivery_id, c.what), lambda c: c.revision)
        if not last:
            return []
        await connection.execute(
            self.sql["keep_corrections"],
            [c.delivery_id for c in last],
            [c.what.value for c in last],
            [c.revision for c in last],
            [c.delivery.model_dump_json(exclude_none=True) if c.delivery else None for c in last],
        )
        named = sorted({c.delivery_id for c in last})
        stops = {r["delivery_id"]: r["reason"] for r in await connection.fetch(self.sql["stopped"], named)}
        if any(c.what is Correction.FACTS_CORRECTED for c in last):
            stops = await self._facts(connection, sorted(set(named) - set(stops))) | stops
        return await self._withhold(connection, [(d, reason, False) for d, reason in stops.items()])

    async def _facts(self, connection: Database, deliveries: Sequence[str]) -> dict[str, str]:
        """Put the corrected facts into what is still planned; returns what must not be asked about with them.

        What was decided to be asked about in spite of a damage is so still, whatever else is corrected.
        """
        rows = await connection.fetch(self.sql["corrected_facts"], deliveries)
        facts = {r["delivery_id"]: orjson.loads(r["facts"]) for r in rows}
        damaged = await connection.fetch(self.sql["newly_damaged"], list(facts), [r["facts"] for r in rows])
        corrected = await connection.fetch(
            self.sql["correct_planned"],
            list(facts),
            [datetime.fromisoformat(f["occurred_at"]) for f in facts.values()],
            [r["facts"] for r in rows],
        )
        await tell(connection, self.sql, changes(corrected, Outcome.SCHEDULED, self.now()))
        return {r["delivery_id"]: "exception_open" for r in damaged}

    async def _answers(self, connection: Database, heard: Iterable[ResponseRecorded]) -> list[asyncpg.Record]:
        # A link scanner's answer is nobody's: the person may still be reminded.
        said = [r for r in heard if r.invited and not r.suspected_machine]
        last = _last(said, lambda r: r.delivery.delivery_id, lambda r: r.contested)
        if not last:
            return []
        new = await connection.fetch(
            self.sql["keep_answered"], [r.delivery.delivery_id for r in last], [r.contested for r in last]
        )
        heard_first = {r["delivery_id"] for r in new if r["first"]}
        await self._measure(connection, [r for r in said if r.revision == 1 and r.delivery.delivery_id in heard_first])
        return await self._withhold(
            connection,
            [(r.delivery.delivery_id, "contested" if r.contested else "answered", not r.contested) for r in last],
        )

    async def _measure(self, connection: Database, answers: Sequence[ResponseRecorded]) -> None:
        answered_at = {r.invitation_id: r.answered_at for r in answers if r.invitation_id is not None}
        for row in await connection.fetch(self.sql["asked_at"], list(answered_at)) if answered_at else ():
            seconds = (answered_at[row["named"]] - row["called_at"]).total_seconds()
            self.metrics.observe("kvittera_ask_to_answer_seconds", max(0.0, seconds))

    async def _withhold(self, connection: Database, stops: Sequence[tuple[str, str, bool]]) -> list[asyncpg.Record]:
        if not stops:
            return []
        return await connection.fetch(self.sql["withhold_deliveries"], *map(list, zip(*stops, strict=True)))


def _of(model: type[M], messages: Iterable[Contract]) -> list[M]:
    return [m for m in messages if isinstance(m, model)]


def _last(messages: Iterable[M], key: Callable[[M], K], rank: Callable[[M], object]) -> list[M]:
    """The highest-ranking message of each key; one statement cannot change a row twice."""
    found: dict[K, M] = {}
    for message in sorted(messages, key=rank):  # type: ignore[arg-type]
        found[key(message)] = message
    return list(found.values())


def _person(person_id: str) -> Person:
    if (person := read_person(person_id)) is None:
        raise Poison("schema", "person_id is no pseudonym of ours")
    return person
