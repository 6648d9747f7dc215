"""Answers as the survey keeps and tells them, for tests of what follows from answers."""

import uuid
from datetime import datetime
from typing import Any

from schemas.response import ResponseRecorded
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from tests.builders import NOON, facts

RECORD = """
INSERT INTO response (response_id, revision, score, reasons, comment_sealed, language, answered_at, changed_at)
VALUES ($1, $2, $3, $4, $5, 'sv', $6, $6)
ON CONFLICT (response_id) DO UPDATE SET revision = excluded.revision, score = excluded.score,
    reasons = excluded.reasons, comment_sealed = coalesce(excluded.comment_sealed, response.comment_sealed)
"""
INVITE = """
INSERT INTO invitation (token_sha256, invitation_id, expires_at, delivery)
VALUES ($1, $2, 'infinity', '{}') ON CONFLICT DO NOTHING
"""


async def answered(
    database: Pool,
    seal: Seal,
    *,
    response_id: uuid.UUID | None = None,
    revision: int = 1,
    score: int = 5,
    reasons: tuple[str, ...] = (),
    comment: str | None = None,
    at: datetime = NOON,
    delivery: dict[str, Any] | None = None,
    **changed: Any,
) -> Received[ResponseRecorded]:
    """Keep an answer as the survey does, and return what it tells Kafka."""
    response_id = response_id or uuid.uuid4()
    row = response_id.bytes * 2
    await database.execute(INVITE, row, response_id)
    sealed = None if comment is None else seal.close(comment, row.hex())
    await database.execute(RECORD, response_id, revision, score, list(reasons), sealed, at)
    message: dict[str, Any] = {
        "response_id": str(response_id),
        "revision": revision,
        "score": score,
        "reasons": reasons,
        "commented": comment is not None,
        "answered_at": at,
        "recorded_at": at,
        "delivery": facts(**({"route": "14", "driver": "DRV-1"} | (delivery or {}))),
    }
    return Received(ResponseRecorded.model_validate(message | changed), None, at)
