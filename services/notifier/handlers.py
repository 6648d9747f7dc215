"""What the notifier does with deliveries, top to bottom: look back, decide, write the decision, plan, tell."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import orjson

from schemas.delivery import ContactChannel, DeliveryCompleted, DeliveryFacts
from schemas.invitation import InvitationDecided, Outcome
from services.chassis.failures import TryAgain
from services.chassis.message_checks import check_digest, code_of
from services.chassis.metrics import Metrics
from services.chassis.persons import Known, Person, PersonKeys
from services.chassis.postgres import Database, named_sql
from services.chassis.record_lines import Became
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.notifier import policy
from services.notifier.history import LookBack, Past
from services.notifier.planned import COLUMNS, Planned
from services.notifier.policies import PolicyBook
from services.notifier.telling import Event, tell

_LONGEST_FACT = 200
Deliveries = Sequence[Received[DeliveryCompleted]]
Now = Callable[[Database], Awaitable[datetime]]


class Decided(NamedTuple):
    """One delivery's decision, ready to be written.

    Attributes:
        planned: the request; None where nobody is asked.
        told: the event as JSON.
    """

    received: Received[DeliveryCompleted]
    planned: Planned | None
    event: InvitationDecided
    told: str

    @property
    def facts(self) -> DeliveryFacts:
        """What is known of the delivery."""
        return self.received.message.delivery


@dataclass(frozen=True, slots=True)
class DecideDeliveries:
    """Decides every delivery exactly once (guarantee 3), inside the fence's transaction.

    Attributes:
        now: asked once for each batch. The database's clock, as the claim goes by: those of processes may be wrong.
    """

    rules: policy.Rules
    seal: Seal
    brand: str
    link_lifetime: timedelta
    metrics: Metrics
    now: Now
    persons: PersonKeys
    sql: Mapping[str, str]
    look_back: LookBack = field(default_factory=LookBack)
    policies: PolicyBook | None = None

    @classmethod
    def with_queries(
        cls,
        *,
        rules: policy.Rules,
        seal: Seal,
        brand: str,
        link_lifetime: timedelta,
        metrics: Metrics,
        now: Now,
        policies: PolicyBook | None = None,
    ) -> "DecideDeliveries":
        """The handler with the service's named SQL. Without `policies` those of `rules` hold at all times."""
        sql = named_sql("services.notifier")
        return cls(rules, seal, brand, link_lifetime, metrics, now, PersonKeys(seal), sql, policies=policies)

    async def __call__(self, connection: Database, deliveries: Deliveries) -> Became:
        """Decide a batch. Deliveries that were decided before, ever, change nothing."""
        firsts = await self._firsts(connection, deliveries)
        persons = {i: self._persons_of(d.message) for i, d in firsts.items()}
        known = await self.persons.look_up(connection, {p for of in persons.values() for p in of.values()})
        past = await self.look_back(connection, (d.message.delivery for d in firsts.values()), known)
        now = await self.now(connection)
        rules = self._rules(now)
        decided = [self._decide(d, past, persons[i], rules, now) for i, d in firsts.items()]
        new = await self._keep_decisions(connection, decided, now)
        kept = [d for d in decided if d.facts.delivery_id in new]
        await self._plan(connection, kept, known)
        events = [Event(d.facts.delivery_id, d.told.encode(), d.received.traceparent) for d in kept]
        await tell(connection, self.sql, events)
        return Became(
            of=partial(_became, {d.facts.delivery_id: d.event for d in kept}),
            count=partial(self._count, Counter((d.event.outcome.value, d.event.reason or "none") for d in kept)),
        )

    def _count(self, decisions: Counter[tuple[str, str]]) -> None:
        for (outcome, reason), n in decisions.items():
            self.metrics.count("kvittera_decisions_total", n, outcome=outcome, reason=reason)

    async def _firsts(self, connection: Database, deliveries: Deliveries) -> Mapping[str, Received[DeliveryCompleted]]:
        """Each delivery once, by its id, with the corrections of its facts that came before it."""
        firsts = {d.message.delivery.delivery_id: d for d in reversed(deliveries)}
        corrected = await self.look_back.corrected(connection, [d.message for d in firsts.values()])
        return {i: replace(d, message=corrected.get(i, d.message)) for i, d in reversed(firsts.items())}

    def _decide(
        self,
        received: Received[DeliveryCompleted],
        past: Past,
        persons: Mapping[ContactChannel, Person],
        rules: policy.Rules,
        now: datetime,
    ) -> Decided:
        facts = received.message.delivery
        history = past.of(facts, persons)
        situation = policy.Situation(received.message, received.appended_at, history, rules, now)
        decision = policy.decide(situation)
        marked = policy.marked(situation)
        planned = None
        if isinstance(decision, policy.Ask):
            person = persons[decision.channel]
            planned = Planned.of(decision, person, now)
            past.plan(facts, person, decision)
            event = self._scheduled(marked, planned, now)
        else:
            event = _suppressed(marked, decision, now)
        return Decided(received, planned, event, event.model_dump_json(exclude_none=True))

    def _rules(self, now: datetime) -> policy.Rules:
        return self.rules if self.policies is None else replace(self.rules, policies=self.policies.at(now))

    def _scheduled(self, facts: DeliveryFacts, planned: Planned, now: datetime) -> InvitationDecided:
        ask = planned.ask
        return InvitationDecided(
            delivery=facts,
            revision=1,
            outcome=Outcome.SCHEDULED,
            evidence=_as_facts(ask.evidence),
            invitation_id=str(planned.invitation_id),
            person_id=planned.person.hex(),
            token_sha256=planned.token_hash.hex(),
            check_digest=check_digest(self.seal, facts.delivery_id, code_of(planned.token)).hex(),
            channel=ask.channel.kind,
            language=ask.language,
            survey=ask.survey,
            due_at=ask.at,
            expires_at=ask.at + self.link_lifetime,
            decided_at=now,
            brand=self.brand,
        )

    def _persons_of(self, delivery: DeliveryCompleted) -> dict[ContactChannel, Person]:
        return {c: self.seal.pseudonym(policy.normalised(c)) for c in delivery.pii.channels}

    async def _keep_decisions(self, connection: Database, decided: Sequence[Decided], now: datetime) -> set[str]:
        rows = await connection.fetch(
            self.sql["keep_decisions"],
            [d.facts.delivery_id for d in decided],
            now,
            ["suppressed" if d.planned is None else "scheduled" for d in decided],
            [d.event.reason for d in decided],
            [",".join(d.event.matched) for d in decided],
            [orjson.dumps(dict(d.event.evidence)).decode() for d in decided],
            [d.event.next_eligible_at for d in decided],
        )
        return {r["delivery_id"] for r in rows}

    async def _plan(self, connection: Database, decided: Sequence[Decided], known: Mapping[Person, Known]) -> None:
        rows = [(d, d.planned) for d in decided if d.planned is not None]
        if not rows:
            return
        boxes = await self.persons.for_closing(connection, [known[p.person] for _, p in rows])
        if any(p.person not in boxes for _, p in rows):
            raise TryAgain("a person was erased while a delivery was decided")
        # COPY: of so many values, arrays would cost more to encode, and PostgreSQL more to take apart.
        await connection.copy_records_to_table(
            "invitation",
            columns=COLUMNS,
            records=[p.row(d.facts, d.told, d.received.traceparent, boxes[p.person]) for d, p in rows],
        )


def _became(told: Mapping[str, InvitationDecided], delivery_id: str) -> Mapping[str, str | None]:
    event = told.get(delivery_id)
    if event is None:
        return {"outcome": "decided_before"}
    return {"outcome": event.outcome.value, "reason": event.reason}


def _suppressed(facts: DeliveryFacts, decision: policy.Suppress, now: datetime) -> InvitationDecided:
    return InvitationDecided(
        delivery=facts,
        revision=1,
        outcome=Outcome.SUPPRESSED,
        reason=decision.reason,
        matched=decision.matched,
        evidence=_as_facts(decision.evidence),
        next_eligible_at=decision.next_eligible_at,
        decided_at=now,
    )


def _as_facts(evidence: Mapping[str, str | int | bool]) -> dict[str, str]:
    return {name: str(fact)[:_LONGEST_FACT] for name, fact in evidence.items()}
