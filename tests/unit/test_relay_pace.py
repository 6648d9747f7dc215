"""How long the relay lets rows gather: never in quiet times, never while a pass leaves rows behind."""

import pytest

from services.chassis.outbox import seconds_to_gather


@pytest.mark.parametrize("moved", [1, 24, 500, 2000])
def test_few_rows_and_full_passes_are_followed_at_once(moved: int) -> None:
    assert seconds_to_gather(moved, 0.005) == 0


@pytest.mark.parametrize("moved", [25, 250, 499])
def test_many_rows_gather_until_forty_milliseconds_after_the_pass_began(moved: int) -> None:
    assert seconds_to_gather(moved, 0.015) == pytest.approx(0.025)


def test_a_pass_that_took_longer_is_followed_at_once() -> None:
    assert seconds_to_gather(250, 0.041) == 0
