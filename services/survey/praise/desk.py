"""What staff do with praise: look at the queue, pass on, approve, decline, settle disputes."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import asyncpg

from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool
from services.chassis.sealing import Seal
from services.chassis.staff import Member, Role
from services.survey.comments.texts import Comment, Texts
from services.survey.praise import store
from services.survey.praise.rules import Act, Praise, State, act, may, role_for
from services.survey.praise.store import SQL
from services.survey.staff.cursors import Cursor
from services.survey.staff.refusals import Impossible, NotAllowed, NotThere, Stale

PAGE = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """Praise as staff see it; `comment` is None where there is none to read.

    Attributes:
        sign: the number of the driver's sign, None without a driver.
    """

    praise: Praise
    sign: int | None
    driver_declined: bool
    comment: Comment | None


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline; `member` None where the recipient or a rule did it."""

    at: datetime
    what: str
    member: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class PraiseDesk:
    """Staff's side of praise. Every change commits with its message and its line in the timeline."""

    pool: Pool
    seal: Seal
    texts: Texts
    metrics: Metrics
    now: Callable[[], datetime]
    wake_relay: Callable[[], None] = lambda: None

    async def queue(
        self, member: Member, states: Iterable[State], terminal: str | None = None, after: Cursor | None = None
    ) -> tuple[Sequence[Shown], Cursor | None]:
        """A page of praise in these states at the member's terminals, or at one of them, and where the next begins.

        The most urgent come first; `after` is where the page before ended.
        """
        terminals = member.terminals(Role.READER)
        if terminal is not None:
            terminals = frozenset({terminal} if member.may(Role.READER, terminal) else ())
        async with self.pool.acquire() as connection:
            names = [s.value for s in states]
            rows = await connection.fetch(SQL["queue"], names, terminals, PAGE + 1, *(after or (None, None)))
            more, rows = len(rows) > PAGE, rows[:PAGE]
            texts = await self.texts.of(connection, [r["praise_id"] for r in rows])
        shown = [_shown(row, texts.get(row["praise_id"])) for row in rows]
        return shown, (rows[-1]["pass_on_by"], rows[-1]["praise_id"]) if more else None

    async def waiting(self, member: Member) -> tuple[int, int]:
        """How much praise waits or is disputed at the member's terminals, and how much of it is late."""
        rows = await self.pool.fetch(SQL["counts"], member.terminals(Role.READER), self.now())
        return sum(r["n"] for r in rows), sum(r["late"] for r in rows if r["state"] == State.WAITING)

    async def one(self, member: Member, praise_id: uuid.UUID) -> tuple[Shown, Sequence[Moment]]:
        """One praise with its timeline.

        Raises:
            NotThere: there is none, or it is another terminal's.
        """
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(SQL["one"], praise_id)
            if row is None or not may(member, Role.READER, row["terminal"]):
                raise NotThere
            texts = await self.texts.of(connection, [praise_id])
            events = await connection.fetch(SQL["timeline"], praise_id)
        return _shown(row, texts.get(praise_id)), [self._moment(praise_id, e) for e in events]

    async def act(
        self,
        member: Member,
        praise_id: uuid.UUID,
        wanted: Act,
        *,
        revision: int,
        masks: tuple[int, ...] = (),
        evidence: str = "",
    ) -> Praise:
        """Do something with praise as it was shown in `revision`.

        Raises:
            NotThere, NotAllowed, Stale, Impossible: nothing was changed.
        """
        if wanted is Act.DISPUTE and not evidence:
            raise Impossible("A dispute needs the driver's account of what happened")
        async with self.pool.acquire() as connection, connection.transaction():
            before = (await store.locked(connection, [praise_id])).get(str(praise_id))
            if before is None or not may(member, Role.READER, before.terminal):
                raise NotThere
            if not may(member, role_for(wanted), before.terminal):
                raise NotAllowed
            if before.revision != revision:
                raise Stale
            if wanted is Act.APPROVE:
                await self._same_comment(connection, before)
            after = replace(act(before, wanted, self.now(), masks), owner=member.subject, owner_name=member.name)
            await self._commit(connection, after, wanted.value, member, evidence)
        self.wake_relay()
        self.metrics.count("kvittera_praise_total", act=wanted.value)
        return after

    async def set_driver(self, member: Member, praise_id: uuid.UUID, *, declines: bool) -> None:
        """Note that the driver of this praise declines to be on boards, or is welcome again.

        Raises:
            NotThere, NotAllowed, Impossible: nothing was changed.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(SQL["one"], praise_id)
            if row is None or not may(member, Role.READER, row["terminal"]):
                raise NotThere
            if not may(member, Role.AGENT, row["terminal"]):
                raise NotAllowed
            driver = row["driver"]
            if driver is None:
                raise Impossible("No driver is known for this praise")
            await connection.execute(SQL["lock_driver"], driver)
            if declines:
                await connection.execute(SQL["decline_driver"], driver, self.now(), member.subject)
            else:
                await connection.execute(SQL["welcome_driver"], driver)
            rows = await connection.fetch(SQL["praise_of_driver"], driver)
            told = [replace(p, revision=p.revision + 1) for p in map(store.from_row, rows)]
            await store.keep(connection, told)
            await store.tell(connection, told)
            what = "driver_declines" if declines else "driver_welcome"
            await store.note(connection, str(praise_id), self.now(), what, member=(member.subject, member.name))
        self.wake_relay()

    async def _same_comment(self, connection: Database, praise: Praise) -> None:
        """Only a comment that was judged may go up; the recipient may have written another meanwhile."""
        praise_id = uuid.UUID(praise.praise_id)
        comment = (await self.texts.of(connection, [praise_id])).get(praise_id)
        if comment is None:
            raise Impossible("There is no comment to put on the board")
        if comment.digest != praise.comment_digest:
            raise Stale

    async def _commit(self, connection: Database, after: Praise, what: str, member: Member, evidence: str) -> None:
        await store.keep(connection, [after])
        await store.tell(connection, [after])
        sealed = self.seal.close(evidence, f"praise {after.praise_id}") if evidence else None
        who = (member.subject, member.name)
        await store.note(connection, after.praise_id, self.now(), what, member=who, sealed=sealed)

    def _moment(self, praise_id: uuid.UUID, event: asyncpg.Record) -> Moment:
        sealed = event["note_sealed"]
        note = None if sealed is None else self.seal.open(sealed, f"praise {praise_id}")
        return Moment(event["at"], event["what"], event["member_name"], note)


def _shown(row: asyncpg.Record, comment: Comment | None) -> Shown:
    return Shown(store.from_row(row), row["number"], row["driver_declined"], comment)
