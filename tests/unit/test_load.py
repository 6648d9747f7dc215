"""What `kvittera load` measures."""

from typing import Any
from uuid import UUID

from services.demo.load import Outcomes, Timings
from services.demo.load_report import Latency
from services.demo.people import Town, now
from tests.builders import NOON

RESPONSE = UUID(int=7)


class Clock:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def message(recipient: str = "nobody") -> dict[str, Any]:
    return {"recipient": recipient, "reference": str(RESPONSE)}


def test_a_message_is_timed_from_the_moment_its_delivery_was_taken_to_be_published() -> None:
    clock = Clock()
    timings = Timings(clock)
    cases = timings.noting(iter([Town(1, "Nordposten Demo").next_case(NOON)]))
    case = next(cases)
    clock.at += 0.25
    timings.seen(message(case.address))
    clock.at += 5
    timings.seen(message(case.address))  # a reminder is not timed
    assert timings.to_message == [0.25]
    assert timings.messages == 2
    assert timings.deliveries == [case.delivery.delivery.delivery_id]


def test_an_answer_is_counted_only_when_the_counters_hold_its_last_revision() -> None:
    clock = Clock()
    timings = Timings(clock)
    timings.saved(message(), 1)
    clock.at += 1
    timings.saved(message(), 2)
    timings.counted({RESPONSE: 1})
    assert timings.to_counter == []
    clock.at += 0.5
    timings.counted({RESPONSE: 2})
    assert timings.to_counter == [0.5]
    assert timings.uncounted == {}
    timings.counted({RESPONSE: 2})
    assert len(timings.to_counter) == 1


def test_requests_that_are_due_later_are_held_and_not_on_their_way() -> None:
    rows: list[Any] = [
        {"outcome": "suppressed", "state": None, "later": None, "n": 2},
        {"outcome": "scheduled", "state": "accepted", "later": False, "n": 5},
        {"outcome": "scheduled", "state": "planned", "later": True, "n": 3},
        {"outcome": "scheduled", "state": "calling", "later": False, "n": 1},
        {"outcome": "scheduled", "state": "withheld", "later": False, "n": 1},
    ]
    assert Outcomes.of(rows) == Outcomes(decided=12, asked=5, held=3, on_their_way=1)


def test_percentiles_are_told_in_milliseconds() -> None:
    assert Latency.of([n / 1000 for n in range(1, 101)]) == Latency(100, 50.5, 90.1, 99.0, 100.0)
    assert Latency.of([]).line() == "nothing measured"


def test_two_runs_ask_different_people() -> None:
    one, other = (Town(1, "Nordposten Demo", before).next_case(now()).address for before in (0, 4_000_000))
    assert one != other


def test_a_later_run_of_the_demo_brings_other_orders_of_other_people() -> None:
    first = Town(1, "Nordposten Demo")
    known = [first.next_case(NOON) for _ in range(50)]
    later = Town(1, "Nordposten Demo")
    later.begin_after(50)
    found = [later.next_case(NOON) for _ in range(50)]
    assert {c.address for c in known} & {c.address for c in found} == set()
    assert {c.delivery.delivery.order_id for c in known} & {c.delivery.delivery.order_id for c in found} == set()
