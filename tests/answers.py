"""Answers as the survey keeps and tells them, for tests of what follows from answers."""

import json
import uuid
from datetime import datetime
from typing import Any

from schemas.response import ResponseRecorded
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from tests.builders import NOON, facts

RECORD = """
INSERT INTO response (response_id, revision, score, reasons, comment_sealed, comment_digest, language, answered_at,
                      changed_at)
VALUES ($1, $2, $3, $4, $5, $6, 'sv', $7, $7)
ON CONFLICT (response_id) DO UPDATE SET revision = excluded.revision, score = excluded.score,
    reasons = excluded.reasons, comment_digest = coalesce(excluded.comment_digest, response.comment_digest),
    comment_sealed = coalesce(excluded.comment_sealed, response.comment_sealed)
"""
INVITE = """
INSERT INTO invitation (token_sha256, invitation_id, expires_at, delivery)
VALUES ($1, $2, 'infinity', '{}') ON CONFLICT DO NOTHING
"""
WISH = "INSERT INTO contact_wish (response_id, sealed, consent_version, given_at) VALUES ($1, $2, 'v1', $3)"


async def answered(
    database: Pool,
    seal: Seal,
    *,
    response_id: uuid.UUID | None = None,
    revision: int = 1,
    score: int = 5,
    reasons: tuple[str, ...] = (),
    comment: str | None = None,
    contact_name: str | None = None,
    at: datetime = NOON,
    delivery: dict[str, Any] | None = None,
    **changed: Any,
) -> Received[ResponseRecorded]:
    """Keep an answer as the survey does, and return what it tells Kafka."""
    response_id = response_id or uuid.uuid4()
    row = response_id.bytes * 2
    await database.execute(INVITE, row, response_id)
    sealed = None if comment is None else seal.close(comment, row.hex())
    digest = None if comment is None else seal.pseudonym(f"comment {row.hex()} {comment}")
    await database.execute(RECORD, response_id, revision, score, list(reasons), sealed, digest, at)
    if contact_name is not None:
        wish = seal.close(json.dumps({"name": contact_name}), f"contact {row.hex()}")
        await database.execute(WISH, response_id, wish, at)
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
