"""Work that failed for a passing reason is done again; what does not pass goes on to whoever asked."""

import asyncpg
import pytest
from structlog.testing import capture_logs

from services.chassis import attempts
from services.chassis.attempts import tried_again_later, until_done


def fail(kind: type[Exception]) -> None:
    raise kind("of no interest")


@pytest.mark.parametrize(
    "passing",
    [OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError, asyncpg.InternalClientError],
)
def test_work_that_comes_round_again_misses_a_turn_and_says_so(passing: type[Exception]) -> None:
    with capture_logs() as lines, tried_again_later("ledger"):
        fail(passing)

    assert lines == [
        {
            "event": "will try again",
            "action": "retry",
            "what": "ledger",
            "error": passing.__name__,
            "log_level": "warning",
        }
    ]


def test_a_turn_that_succeeds_says_nothing() -> None:
    with capture_logs() as lines, tried_again_later("ledger"):
        pass

    assert lines == []


def test_a_fault_of_ours_ends_the_work() -> None:
    with pytest.raises(ZeroDivisionError), tried_again_later("ledger"):
        raise ZeroDivisionError


async def test_what_must_be_done_is_tried_until_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "pauses", lambda: iter([0.0] * 5))
    failures = [OSError("away"), asyncpg.InternalClientError("away")]
    done = []

    async def work() -> None:
        if failures:
            raise failures.pop()
        done.append("written")

    await until_done(work)

    assert done == ["written"]


async def test_what_must_be_done_is_not_tried_again_after_a_fault_of_ours() -> None:
    tried = []

    async def work() -> None:
        tried.append("once")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await until_done(work)

    assert tried == ["once"]
