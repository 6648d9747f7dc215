"""What the survey service does, top to bottom: learn of invitations, keep answers, look up a page."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from schemas.delivery import ChannelKind, DeliveryFacts
from schemas.invitation import InvitationDecided
from schemas.invitation import Outcome as Decided
from services.chassis.bounded_waiting import ANSWERED_WITHIN, Presence, within
from services.chassis.message_lines import ANSWERED, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.microbatch import MicroBatcher
from services.chassis.outbox import Relay
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.traces import Traces
from services.survey.answers.masks_kept import MasksKept
from services.survey.answers.preferences import Preference
from services.survey.answers.recorded import PLAIN, Circumstances, Outcome, Page, Posted, Recorded
from services.survey.answers.responses import Answer, token_hash
from services.survey.answers.sealing_answers import AnswerSeal
from services.survey.answers.store import keep, keep_alone
from services.survey.definition_files import load_definitions
from services.survey.definitions import Definitions

_FLUSHES = 4
"""At once: while one waits for the disk, others are merged by PostgreSQL or collected here."""
_READING = 2
"""Connections that topics being read may hold while answers come."""

_MAY_HAVE_LEFT = frozenset({Decided.ASKED, Decided.IN_DOUBT})


def _json(facts: DeliveryFacts) -> str:
    return facts.model_dump_json(exclude_none=True)


@dataclass(frozen=True, slots=True)
class LearnInvitations:
    """Keeps the invitations that the notifier tells of; the page must exist before the message arrives."""

    sql: Mapping[str, str]
    definitions: Definitions = field(default_factory=load_definitions)

    async def __call__(self, connection: Database, decided: Sequence[Received[InvitationDecided]]) -> None:
        """Keep the new ones of a batch, and corrected facts of known ones, inside the fence's transaction."""
        asked = [r for r in decided if r.message.token_sha256 and r.message.invitation_id and r.message.expires_at]
        if not asked:
            return
        messages = [r.message for r in asked]
        surveys = [self.definitions.choose(m.survey, m.known.touchpoint, m.known.exceptions) for m in messages]
        await connection.execute(self.sql["lock_learning"])
        await connection.execute(
            self.sql["keep_invitations"],
            [bytes.fromhex(str(m.token_sha256)) for m in messages],
            [uuid.UUID(str(m.invitation_id)) for m in messages],
            [m.expires_at for m in messages],
            [m.channel for m in messages],
            [m.language for m in messages],
            [s.id for s in surveys],
            [m.brand for m in messages],
            [_json(m.known) for m in messages],
            [r.traceparent for r in asked],
            [m.person_id for m in messages],
            [s.rated.value for s in surveys],
            [None if m.check_digest is None else bytes.fromhex(m.check_digest) for m in messages],
            [None if m.corrected is None else _json(m.delivery) for m in messages],
        )
        told_anew = {
            uuid.UUID(str(m.invitation_id)): (_json(m.known), s.id, s.rated.value, _json(m.delivery))
            for m, s in sorted(zip(messages, surveys, strict=True), key=lambda pair: pair[0].revision)
            if m.outcome is Decided.SCHEDULED and m.corrected is not None
        }
        if told_anew:
            corrected = map(list, zip(*told_anew.values(), strict=True))
            await connection.execute(self.sql["correct_invitations"], list(told_anew), *corrected)
        sent = [m for m in messages if m.outcome in _MAY_HAVE_LEFT and m.channel is ChannelKind.SMS]
        # A doubt may be settled long after its message left; a version before told only of the settlement.
        left = sorted((m.sent_at or m.decided_at, str(m.invitation_id)) for m in sent)
        if latest := {uuid.UUID(invitation): at for at, invitation in left}:
            await connection.execute(self.sql["note_asked"], list(latest), list(latest.values()))


@dataclass(slots=True)
class Answers:
    """Keeps answers durably: when `record` returns a revision, answer and outbox row are on disk (guarantee 1).

    `looking` is a pool of one connection (`open_look_up_pool`) for looking at pages; without one `pool` serves them.
    """

    pool: Pool
    seal: Seal
    relay: Relay
    metrics: Metrics
    now: Callable[[], datetime]
    queue: int = 4096
    looking: "Pool | None" = None
    lines: MessageLines = field(default_factory=lambda: MessageLines(0))
    traces: Traces = field(default_factory=lambda: Traces("untold"))
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey"))
    _batcher: MicroBatcher[Posted, Recorded] = field(init=False)
    _looks: MicroBatcher[bytes, Page | None] = field(init=False)
    _answer_seal: AnswerSeal = field(init=False)
    _masks: MasksKept = field(init=False)
    _presence: Presence = field(init=False)

    def __post_init__(self) -> None:
        self._presence = Presence(self.pool)
        persons = PersonKeys(self.seal)
        self._answer_seal, self._masks = AnswerSeal(persons), MasksKept(persons)
        self._batcher = MicroBatcher(
            self._flush, key=lambda p: p.token_sha256, queue=self.queue, flushes=_FLUSHES, patience=ANSWERED_WITHIN
        )
        # Looks at the same time share a statement; the same link twice in one is harmless.
        self._looks = MicroBatcher(self._look_up, key=lambda _: object(), patience=ANSWERED_WITHIN)
        for kind in ("first", "revision"):
            self.metrics.begin("kvittera_answers_total", kind=kind)

    async def record(self, token: str, answer: Answer, how: Circumstances = PLAIN) -> Recorded:
        """Keep an answer from the page; as `record_for`."""
        return await self.record_for(token_hash(token), answer, channel="web", how=how)

    def record_for(
        self, token_sha256: bytes, answer: Answer, *, channel: str, how: Circumstances = PLAIN
    ) -> asyncio.Future[Recorded]:
        """Keep an answer that came in by a channel, such as `web`, `app` or `sms`; done after the commit.

        A database error, or a TimeoutError after four seconds, says nothing of whether it was kept. Trying again is
        safe.

        Raises:
            Overloaded: at once: too many answers wait; nothing was kept.
        """
        return self._batcher.put(self._posted(token_sha256, answer, channel, how))

    def _posted(self, token_sha256: bytes, answer: Answer, channel: str, how: Circumstances) -> Posted:
        row = token_sha256.hex()
        comment = answer.comment
        return Posted(
            token_sha256=token_sha256,
            answer=answer,
            channel=channel,
            how=how,
            comment_digest=None if comment is None else self.seal.pseudonym(f"comment {row} {comment}"),
            answered_at=self.now(),
        )

    async def prefer(self, token: str, preference: Preference, source: str = "page") -> Recorded | None:
        """Keep how often and where the person of a link may be asked; None where the link leads to no person.

        Raises:
            Database errors, TimeoutError: it is not known whether it was kept. Trying again is safe.
        """
        said = (
            token_hash(token),
            preference.frequency is not None,
            preference.never,
            preference.most_per_year,
            preference.channel is not None,
            preference.only_channel,
            self.now(),
            source,
        )

        async def keeping() -> asyncpg.Record | None:
            row = await self.pool.fetchrow(self._sql["prefer"], *said)
            if row is not None and row["open"] and row["named"] and row["revision"] is None:
                # The same was said elsewhere at this moment, for the first time: only the next statement sees it.
                row = await self.pool.fetchrow(self._sql["prefer"], *said)
            return row

        row = await within(ANSWERED_WITHIN, keeping())
        self.relay.wake()
        if row is None:
            return Recorded(Outcome.UNKNOWN)
        if not row["open"]:
            return Recorded(Outcome.LOCKED)
        return Recorded(Outcome.KEPT, row["revision"]) if row["named"] else None

    async def is_unread(self, token_sha256: bytes) -> bool:
        """Whether a link is ours, but its invitation could not be read and its dead letter may still be replayed.

        Raises:
            Database errors, TimeoutError.
        """
        return bool(await within(ANSWERED_WITHIN, self.pool.fetchval(self._sql["is_unread_link"], token_sha256)))

    async def note_opened(self, token: str) -> None:
        """Note that a person touched the page of a link; only the first time, and before any answer, says anything.

        Raises:
            Database errors, TimeoutError: it is not known whether it was noted. Trying again is safe.
        """
        await within(ANSWERED_WITHIN, self.pool.execute(self._sql["note_opened"], token_hash(token)))
        self.relay.wake()

    async def can_keep(self) -> bool:
        """Whether an answer could be kept now."""
        return await self._presence.is_there()

    async def warm_up(self) -> None:
        """Look for no link, and keep no answer on each connection that the first ones would otherwise wait for.

        Connecting and planning take ten times the work of an answer.

        Raises:
            Database errors.
        """
        await self.page_for(bytes(32))
        many = min(_FLUSHES + _READING, self.pool.get_max_size())
        held = await asyncio.gather(*(self.pool.acquire() for _ in range(many)))
        try:
            await asyncio.gather(*(keep(connection, self._sql, [], self._masks) for connection in held))
        finally:
            for connection in held:
                await self.pool.release(connection)

    async def finish(self, stop: asyncio.Event) -> None:
        """Once stopped, return when no answer is on its way any more."""
        await stop.wait()
        await self._batcher.drained()

    async def _flush(self, batch: Sequence[Posted]) -> Sequence[Recorded]:
        found: dict[bytes, Recorded] = {}
        began = time.perf_counter()
        async with self.pool.acquire() as connection:
            posted = await self._answer_seal.close(connection, batch)
            together = [p for p in posted if p.how.only_if is None]
            if together:
                found = await keep(connection, self._sql, together, self._masks)
            for one in posted:
                if one.how.only_if is not None:
                    found |= await keep_alone(connection, self._sql, one, one.how.only_if, self._masks)
        self.relay.wake()
        self.metrics.observe("kvittera_answers_per_commit", len(posted))
        recorded = [found.get(p.token_sha256, Recorded(Outcome.UNKNOWN)) for p in batch]
        for kind, n in Counter("first" if r.first else "revision" for r in recorded if r.kept is not None).items():
            self.metrics.count("kvittera_answers_total", n, kind=kind)
        # After the replies: nobody who answers waits for a line.
        asyncio.get_running_loop().call_later(0, self._tell, batch, recorded, time.perf_counter() - began)
        return recorded

    def _tell(self, batch: Sequence[Posted], recorded: Sequence[Recorded], seconds: float) -> None:
        told = [(p, r, r.about) for p, r in zip(batch, recorded, strict=True) if r.about is not None]
        traced = (lambda one: self.traces.keeps(one[2].traceparent)) if self.traces.on else None
        for posted, became, about in self.lines.chosen(ANSWERED, told, len(told), traced):
            self.lines.tell(
                ANSWERED,
                about.traceparent,
                seconds,
                delivery_id=about.delivery_id,
                channel=posted.channel,
                kept=became.outcome is Outcome.KEPT,
                result=became.outcome.value,
                revision=became.revision,
            )

    async def page(self, token: str) -> Page | None:
        """What the link stands for, or None where it stands for nothing."""
        return await self.page_for(token_hash(token))

    def page_for(self, token_sha256: bytes) -> asyncio.Future[Page | None]:
        """As `page`, for those who know the token by its hash.

        Raises:
            Overloaded: at once: too many look.
        """
        return self._looks.put(token_sha256)

    async def _look_up(self, tokens: Sequence[bytes]) -> Sequence[Page | None]:
        async with (self.looking or self.pool).acquire() as connection:
            rows = await connection.fetch(self._sql["pages_of"], tokens)
        found = {row["token_sha256"]: row for row in rows}
        return [None if (row := found.get(token)) is None else Page.from_row(row) for token in tokens]
