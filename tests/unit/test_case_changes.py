"""The watch of cases: what passes is waited for, what does not ends the service."""

import asyncio
from typing import Any, cast

import asyncpg
import pytest

from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.survey.cases.changes import CaseChanges
from tests.builders import NOON


class Broken:
    """A pool whose statements fail, once for each failure."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    def acquire(self) -> Any:
        raise self.failures.pop(0)


async def test_a_statement_that_is_wrong_for_ever_is_not_swallowed() -> None:
    pool = Broken(asyncpg.CannotConnectNowError("away"), asyncpg.UndefinedTableError("no such table"))
    changes = CaseChanges(cast("Pool", pool), Metrics(), lambda: NOON, period=0.0)
    with pytest.raises(asyncpg.UndefinedTableError):
        await asyncio.wait_for(changes.run(asyncio.Event()), 30)
    assert pool.failures == []
