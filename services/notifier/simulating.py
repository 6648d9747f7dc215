"""What a changed policy would have done to deliveries of the past. Pure: no sender can be reached from here.

Both sides, the policies as they held and the changed ones, decide each delivery as if it had just arrived, one after
the other, and each remembers whom it has asked. What cannot be known afterwards (wishes, erasures, disruptions) is
left out on both sides.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.delivery import DeliveryCompleted
from services.notifier.policy import Ask, Contacted, History, Rules, Situation, decide, normalised

_YEAR = timedelta(days=365)
Past = tuple[DeliveryCompleted, datetime]
"""A delivery and when it arrived."""


@dataclass(slots=True)
class Side:
    """One set of policies at work.

    Attributes:
        reasons: deliveries by reason, `asked` among them.
        asked_by_country: deliveries asked about; `asked_by_merchant` is the same by merchant id.
    """

    rules_at: Callable[[datetime], Rules]
    reasons: Counter[str] = field(default_factory=Counter)
    asked_by_country: Counter[str] = field(default_factory=Counter)
    asked_by_merchant: Counter[str] = field(default_factory=Counter)
    _drops: set[str] = field(default_factory=set)
    _orders: set[tuple[str | None, str]] = field(default_factory=set)
    _contacts: defaultdict[str, list[Contacted]] = field(default_factory=lambda: defaultdict(list))

    def take(self, delivery: DeliveryCompleted, arrived: datetime) -> None:
        """Decide about one delivery as if it were the moment of its arrival."""
        facts, order = delivery.delivery, _order(delivery)
        persons = [normalised(c) for c in delivery.pii.channels]
        history = History(
            drop_asked=facts.drop_id in self._drops,
            order_asked=order in self._orders,
            contacts=tuple(c for p in persons for c in self._contacts[p] if c.at > arrived - _YEAR),
        )
        decision = decide(Situation(delivery, arrived, history, self.rules_at(arrived), arrived))
        if not isinstance(decision, Ask):
            self.reasons[decision.reason] += 1
            return
        self.reasons["asked"] += 1
        self.asked_by_country[facts.country] += 1
        self.asked_by_merchant[facts.merchant_id or "none"] += 1
        self._contacts[normalised(decision.channel)].append(
            Contacted(decision.at, decision.channel.kind, facts.merchant_id)
        )
        if facts.drop_id is not None:
            self._drops.add(facts.drop_id)
        if order is not None:
            self._orders.add(order)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the comparison."""

    part: str
    name: str
    old: int
    new: int

    @property
    def change(self) -> int:
        """How many more."""
        return self.new - self.old


@dataclass(slots=True)
class Comparison:
    """Both sides at the same deliveries; one that is repeated is decided once."""

    old: Side
    new: Side
    _seen: set[str] = field(default_factory=set)

    @property
    def deliveries(self) -> int:
        """How many different ones both sides have decided about."""
        return len(self._seen)

    def take(self, past: Iterable[Past]) -> None:
        """Let both sides decide about more deliveries."""
        for delivery, arrived in past:
            if delivery.delivery.delivery_id not in self._seen:
                self._seen.add(delivery.delivery.delivery_id)
                self.old.take(delivery, arrived)
                self.new.take(delivery, arrived)

    def lines(self) -> Iterator[Line]:
        """Asked, each reason, and asked by country and merchant; the largest first."""
        yield Line("outcome", "asked", self.old.reasons["asked"], self.new.reasons["asked"])
        yield from _lines("not asked", self.old.reasons, self.new.reasons, without="asked")
        yield from _lines("asked in", self.old.asked_by_country, self.new.asked_by_country)
        yield from _lines("asked for", self.old.asked_by_merchant, self.new.asked_by_merchant)


def _lines(part: str, old: Counter[str], new: Counter[str], without: str = "") -> Iterator[Line]:
    names = sorted((old.keys() | new.keys()) - {without}, key=lambda n: (-max(old[n], new[n]), n))
    return (Line(part, name, old[name], new[name]) for name in names)


def _order(delivery: DeliveryCompleted) -> tuple[str | None, str] | None:
    facts = delivery.delivery
    return None if facts.order_id is None else (facts.merchant_id, facts.order_id)
