"""What is behind a record that stays refused: it is not sent, over and over, before it."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OutOfOrderSequenceNumber

from services.chassis.large_letters import send_smaller
from services.chassis.record_batches import Record


def of(key: bytes | None, value: bytes) -> Record:
    return Record("answer.recorded.v1", key, value, [])


async def test_what_is_behind_a_record_that_stays_refused_is_not_sent_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes | None] = []

    async def send_all(_: object, records: Sequence[Record]) -> list[KafkaError | None]:
        sent.extend(record.value for record in records)
        return [MessageSizeTooLargeError() if record.value == b"large" else None for record in records]

    monkeypatch.setattr("services.chassis.large_letters.send_all", send_all)
    behind = OutOfOrderSequenceNumber()
    refused = MessageSizeTooLargeError()
    records = [of(b"k", b"large"), of(b"k", b"next"), of(b"other", b"1"), of(None, b"large"), of(None, b"2")]
    outcomes = await send_smaller(cast("Any", None), records, [refused, behind, behind, refused, behind], seconds=60)
    assert sent == [b"large", b"1", b"large", b"2"]
    assert [type(o) for o in outcomes] == [
        MessageSizeTooLargeError,
        OutOfOrderSequenceNumber,
        type(None),
        MessageSizeTooLargeError,
        type(None),
    ]
