"""How many deliveries one core decides about per second, rules only, with the policies that come with the service."""

import statistics
import time
from datetime import timedelta

from schemas.delivery import ChannelKind, DeliveryCompleted
from services.notifier.policies import read_policies
from services.notifier.policy import Ask, Contacted, History, Rules, Situation, decide
from tests.builders import EMAIL, NOON, delivery

_DECISIONS = 20_000
_ROUNDS = 5


def measure_deciding() -> dict[str, float]:
    """Print and return decisions per second of processor time: asked by SMS, by e-mail, and not asked."""
    policies = read_policies(None).at(NOON)
    rules = Rules(timedelta(hours=72), timedelta(0), frozenset(ChannelKind), policies, bytes(range(16)))
    history = History(contacts=tuple(Contacted(NOON - timedelta(days=n), ChannelKind.SMS) for n in (40, 80, 200)))
    kinds = {
        "asked by SMS": [_to_phone(n) for n in range(_DECISIONS)],
        "asked by e-mail": [delivery((EMAIL,), delivery_id=f"D-{n}") for n in range(_DECISIONS)],
        "not asked": [delivery((EMAIL,), delivery_id=f"D-{n}", exceptions=["partial"]) for n in range(_DECISIONS)],
    }
    result = {}
    for name, messages in kinds.items():
        situations = [Situation(m, NOON, history, rules, NOON + timedelta(minutes=1)) for m in messages]
        assert isinstance(decide(situations[0]), Ask) == name.startswith("asked")
        result[name] = statistics.median(_round(situations) for _ in range(_ROUNDS))
        print(f"deciding, {name}: {result[name]:,.0f} decisions/s of one core")
    return result


def _to_phone(n: int) -> DeliveryCompleted:
    return delivery(({"kind": "sms", "address": f"+46701740{n % 1000:03d}"},), delivery_id=f"D-{n}")


def _round(situations: list[Situation]) -> float:
    begun = time.process_time()
    for situation in situations:
        decide(situation)
    return len(situations) / (time.process_time() - begun)


if __name__ == "__main__":
    measure_deciding()
