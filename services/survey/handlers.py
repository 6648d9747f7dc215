"""What the survey service does, top to bottom: learn of invitations, keep answers, look up a page."""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from schemas.invitation import InvitationDecided
from services.chassis.metrics import Metrics
from services.chassis.microbatch import MicroBatcher
from services.chassis.outbox import Relay
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.tracing import child_of
from services.survey.responses import Answer, token_hash


@dataclass(frozen=True, slots=True)
class LearnInvitations:
    """Keeps the invitations that the notifier tells of; the page must exist before the message arrives."""

    sql: Mapping[str, str]

    async def __call__(self, connection: Database, decided: Sequence[Received[InvitationDecided]]) -> None:
        """Keep the new ones of a batch, inside the fence's transaction."""
        asked = [r for r in decided if r.message.token_sha256 and r.message.invitation_id and r.message.expires_at]
        if not asked:
            return
        messages = [r.message for r in asked]
        await connection.execute(
            self.sql["keep_invitations"],
            [bytes.fromhex(str(m.token_sha256)) for m in messages],
            [uuid.UUID(str(m.invitation_id)) for m in messages],
            [m.expires_at for m in messages],
            [m.channel for m in messages],
            [m.language for m in messages],
            [m.survey for m in messages],
            [m.brand for m in messages],
            [m.delivery.model_dump_json(exclude_none=True) for m in messages],
            [child_of(r.traceparent) for r in asked],
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer on its way to the commit."""

    token_sha256: bytes
    answer: Answer
    sealed_comment: bytes | None
    answered_at: datetime
    channel: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of it. Without `revision` nothing was kept: the link is unknown, or no longer open."""

    known: bool
    open: bool
    revision: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """What is known about a link."""

    invitation_id: uuid.UUID
    open: bool
    now: datetime
    expires_at: datetime
    language: str | None
    brand: str | None
    delivery: dict[str, Any]
    revision: int | None
    score: int | None
    reasons: tuple[str, ...]
    commented: bool
    contested: bool


@dataclass(slots=True)
class Answers:
    """Keeps answers durably: when `record` returns a revision, answer and outbox row are on disk (guarantee 1)."""

    pool: Pool
    seal: Seal
    relay: Relay
    metrics: Metrics
    now: Callable[[], datetime]
    queue: int = 4096
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey"))
    _batcher: MicroBatcher[Posted, Recorded] = field(init=False)

    def __post_init__(self) -> None:
        self._batcher = MicroBatcher(self._flush, key=lambda p: p.token_sha256, queue=self.queue)

    async def record(self, token: str, answer: Answer) -> Recorded:
        """Keep an answer from the page; as `record_for`."""
        return await self.record_for(token_hash(token), answer, channel="web")

    async def record_for(self, token_sha256: bytes, answer: Answer, *, channel: str) -> Recorded:
        """Keep an answer that came in by a channel, such as `web`, `app` or `sms`; returns after the commit.

        Raises:
            Overloaded: too many answers wait; nothing was kept.
            Database errors: it is not known whether it was kept. Trying again is safe.
        """
        sealed = self.seal.close(answer.comment, token_sha256.hex()) if answer.comment is not None else None
        recorded = await self._batcher.submit(Posted(token_sha256, answer, sealed, self.now(), channel))
        if recorded.revision is not None:
            self.metrics.count("kvittera_answers_total", kind="first" if recorded.revision == 1 else "revision")
        return recorded

    async def can_keep(self) -> bool:
        """Whether an answer could be kept now."""
        try:
            async with asyncio.timeout(2), self.pool.acquire() as connection:
                await connection.execute("SELECT 1")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            return False
        return True

    async def drained(self) -> None:
        """Return when no answer is on its way any more."""
        await self._batcher.drained()

    async def _flush(self, posted: Sequence[Posted]) -> Sequence[Recorded]:
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                self._sql["record_answers"],
                [p.token_sha256 for p in posted],
                [p.answer.score for p in posted],
                [None if p.answer.reasons is None else ",".join(p.answer.reasons) for p in posted],
                [p.sealed_comment for p in posted],
                [p.answer.contested for p in posted],
                [p.answered_at for p in posted],
                [p.answer.language for p in posted],
                [p.channel for p in posted],
            )
        self.relay.wake()
        self.metrics.observe("kvittera_answers_per_commit", len(posted))
        found = {r["token_sha256"]: r for r in rows}
        return [_recorded(found.get(p.token_sha256)) for p in posted]

    async def page(self, token: str) -> Page | None:
        """What the link stands for, or None where it stands for nothing."""
        return await self.page_for(token_hash(token))

    async def page_for(self, token_sha256: bytes) -> Page | None:
        """As `page`, for those who know the token by its hash."""
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self._sql["page_of"], token_sha256)
        if row is None:
            return None
        return Page(
            invitation_id=row["invitation_id"],
            open=row["open"],
            now=row["now"],
            expires_at=row["expires_at"],
            language=row["language"],
            brand=row["brand"],
            delivery=json.loads(row["delivery"]),
            revision=row["revision"],
            score=row["score"],
            reasons=tuple(row["reasons"] or ()),
            commented=bool(row["commented"]),
            contested=bool(row["contested"]),
        )


def _recorded(row: asyncpg.Record | None) -> Recorded:
    if row is None:
        return Recorded(known=False, open=False, revision=None)
    return Recorded(known=True, open=row["open"], revision=row["revision"] if row["open"] else None)
