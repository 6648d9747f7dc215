"""A provider that fails again and again is left alone, by a clock that the test turns."""

from dataclasses import dataclass, field

import pytest

from services.notifier.breaker import ProviderBreaker
from services.notifier.channels import Fate

FAILURES = [Fate.REFUSED_FOR_NOW, Fate.IN_DOUBT] * 5


@dataclass
class Line:
    """The breaker of one kind of channel, whose draws give the longest pause unless told otherwise."""

    now: float = 1000.0
    drawn: list[tuple[float, float]] = field(default_factory=list)
    breaker: ProviderBreaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = ProviderBreaker(lambda: self.now, self._draw)

    def _draw(self, low: float, high: float) -> float:
        self.drawn.append((low, high))
        return high

    def note(self, *fates: Fate) -> None:
        for fate in fates:
            self.breaker.note("sms", fate)

    @property
    def allowed(self) -> int | None:
        """None: no limit."""
        return self.breaker.allowed().get("sms")

    def allowed_after(self, seconds: float) -> int | None:
        self.now += seconds
        return self.allowed


def test_ten_failures_in_a_row_open_it_and_nine_do_not() -> None:
    line = Line()
    line.note(*FAILURES[:9])
    assert (line.allowed, line.breaker.is_open("sms")) == (None, False)
    line.note(FAILURES[9])
    assert (line.allowed, line.breaker.is_open("sms")) == (0, True)


@pytest.mark.parametrize("fate", [Fate.ACCEPTED, Fate.REFUSED])
def test_an_answer_about_one_message_begins_the_row_anew(fate: Fate) -> None:
    line = Line()
    line.note(*FAILURES[:9], fate, *FAILURES[:9])
    assert line.allowed is None
    line.note(FAILURES[9])
    assert line.allowed == 0


def test_after_its_pause_one_call_may_go_and_see_and_no_moment_before() -> None:
    line = Line()
    line.note(*FAILURES)
    assert line.drawn == [(2.5, 5.0)]
    assert line.allowed_after(4.999) == 0
    assert line.allowed_after(0.001) == 1
    assert line.breaker.is_open("sms")


def test_each_call_that_goes_and_fails_doubles_the_pause_up_to_five_minutes() -> None:
    line = Line()
    line.note(*FAILURES)
    for longest in (10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0):
        line.now += 400
        assert line.allowed == 1
        line.note(Fate.IN_DOUBT)
        assert line.drawn[-1] == (longest / 2, longest)
        assert line.allowed_after(longest - 0.001) == 0
        assert line.allowed_after(0.001) == 1


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_the_pause() -> None:
    line = Line()
    line.note(*FAILURES)
    line.now += 4
    line.note(*FAILURES)
    assert line.drawn == [(2.5, 5.0)]
    assert line.allowed_after(1) == 1


def test_an_accepted_call_closes_it_and_the_next_pause_is_a_first_one_again() -> None:
    line = Line()
    line.note(*FAILURES)
    line.now += 5
    line.note(Fate.IN_DOUBT)  # the pause is ten seconds now
    line.now += 10
    line.note(Fate.ACCEPTED)
    assert (line.allowed, line.breaker.is_open("sms")) == (None, False)
    line.note(*FAILURES)
    assert line.drawn[-1] == (2.5, 5.0)


def test_kinds_of_channel_are_judged_apart() -> None:
    line = Line()
    line.note(*FAILURES)
    line.breaker.note("email", Fate.IN_DOUBT)
    assert line.breaker.allowed() == {"sms": 0}
