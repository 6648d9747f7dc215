"""Kafka drops from the oldest offset on: what lies behind a letter that stays is counted as left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from services.chassis.deadletter_drop import drop_letters
from services.chassis.deadletter_store import Letter
from services.chassis.settings import Settings
from tests.harness import record

MINUTE = 60_000
NOON = datetime(2026, 10, 13, 12, tzinfo=UTC)


def letter(offset: int, minute: int, partition: int = 0) -> Letter:
    own: ConsumerRecord = record("t.dlq", offset, b"", partition=partition)
    own.timestamp = round(NOON.timestamp() * 1000) + minute * MINUTE
    return Letter(own, {})


class Letters:
    """A partition whose broker's clock went back, and one that is in order."""

    async def batches(self) -> AsyncIterator[list[Letter]]:
        yield [letter(0, 1), letter(1, 5), letter(0, 0, 1)]
        yield [letter(2, 0), letter(1, 1, 1), letter(2, 3, 1)]


async def test_a_letter_behind_one_that_stays_is_not_counted_as_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def letters_of(*_: Any) -> AsyncIterator[Letters]:
        yield Letters()

    monkeypatch.setattr("services.chassis.deadletter_drop.letters_of", letters_of)
    before = NOON.replace(minute=2)
    assert await drop_letters(Settings(), "delivery.completed.v1", before=before, dry_run=True) == 3
