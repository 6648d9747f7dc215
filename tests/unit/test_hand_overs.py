"""A driver answers for what can only have happened while the driver held the parcel."""

import pytest

from services.aggregator.counting.hand_overs import Leg, answers_for

TERMINAL, MINE, OTHER = Leg("terminal", "LUL"), Leg("driver", "d-1"), Leg("driver", "d-2")
POINT = Leg("service_point", "sp-1")


@pytest.mark.parametrize(
    ("attempt", "exceptions", "legs", "answers"),
    [
        (1, (), (), True),
        (1, ("damaged",), (), False),
        (2, (), (), False),
        (1, (), (TERMINAL, MINE), True),
        (1, ("damaged",), (TERMINAL, MINE), True),
        (1, ("opened", "partial"), (TERMINAL, MINE), True),
        (1, ("damaged",), (TERMINAL, Leg("driver", "d-1", ("damaged",))), False),
        (1, ("damaged",), (Leg("terminal", "LUL", ("damaged",)), MINE), False),
        (1, (), (TERMINAL, Leg("driver", "d-1", ("opened",))), False),
        (1, ("damaged", "customs_hold"), (TERMINAL, MINE), False),
        (1, ("claim_open",), (TERMINAL, MINE), False),
        (1, ("returned",), (TERMINAL, MINE), False),
        (1, (), (TERMINAL, OTHER), False),
        (1, (), (TERMINAL, MINE, POINT), False),
        (2, (), (TERMINAL, OTHER, TERMINAL, MINE), False),
        (2, (), (TERMINAL, MINE, TERMINAL, MINE), True),
        (2, ("damaged",), (TERMINAL, MINE, TERMINAL, MINE), True),
        (2, (), (TERMINAL, MINE), False),
        (3, (), (TERMINAL, MINE, TERMINAL, MINE), False),
    ],
)
def test_the_last_driver_answers_where_nobody_else_can_have_done_it(
    attempt: int, exceptions: tuple[str, ...], legs: tuple[Leg, ...], answers: bool
) -> None:
    assert answers_for("d-1", attempt, exceptions, legs) is answers
