from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.deadletter import DeadLetter, pack_headers, unpack_headers
from services.chassis.deadletter_drop import drop_letters
from services.chassis.deadletter_store import Letter
from services.chassis.settings import Settings

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
HEADERS = st.lists(st.tuples(st.text(), st.none() | st.binary()))


def record(headers: tuple[tuple[str, bytes | None], ...]) -> ConsumerRecord:
    return ConsumerRecord("delivery.completed.v1", 3, 17, 0, 0, b"k", b"{bad", None, 1, 4, headers)


def test_the_records_own_headers_come_first_and_untouched_then_why_and_from_where() -> None:
    own = (("ce_id", b"\xff\xfe"), ("twice", b"1"), ("twice", b"2"), ("nothing", None))
    assert DeadLetter(record(own), "bad_json", "the value is no JSON text").headers("notifier", NOW) == [
        ("ce_id", b"\xff\xfe"),
        ("twice", b"1"),
        ("twice", b"2"),
        ("nothing", None),
        ("kvittera_dlq_reason", b"bad_json"),
        ("kvittera_dlq_detail", b"the value is no JSON text"),
        ("kvittera_dlq_topic", b"delivery.completed.v1"),
        ("kvittera_dlq_partition", b"3"),
        ("kvittera_dlq_offset", b"17"),
        ("kvittera_dlq_at", b"2026-11-22T06:00:00+00:00"),
        ("kvittera_dlq_service", b"notifier"),
    ]


def test_a_long_detail_is_cut() -> None:
    headers = dict(DeadLetter(record(()), "schema", "é" * 9_000).headers("notifier", NOW))
    assert headers["kvittera_dlq_detail"] == "é".encode() * 500


@given(HEADERS)
def test_headers_of_any_bytes_survive_the_outbox_row(headers: list[tuple[str, bytes | None]]) -> None:
    assert unpack_headers(pack_headers(headers)) == headers


async def test_no_letter_is_dropped_that_is_young_though_one_behind_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another leader's clock may be behind; Kafka drops all that comes before an offset."""

    class Three:
        async def batches(self) -> AsyncIterator[list[Letter]]:
            for offset, second in enumerate((1, 3, 2)):
                place: dict[str, Any] = {"topic": "t.dlq", "partition": 0, "offset": offset, "timestamp": second * 1000}
                yield [Letter(replace(record(()), **place), {})]

    @asynccontextmanager
    async def letters_of(*_: object) -> AsyncIterator[Three]:
        yield Three()

    monkeypatch.setattr("services.chassis.deadletter_drop.letters_of", letters_of)

    before = datetime.fromtimestamp(2.5, UTC)
    assert await drop_letters(Settings(), "delivery.completed.v1", before=before, dry_run=True) == 1
