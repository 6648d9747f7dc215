"""Sending outcome messages: `calling` is committed before the first byte, and a doubt is never sent again."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from services.chassis.attempts import tried_again_later, until_done
from services.chassis.failures import Poison, is_transient
from services.chassis.metrics import Metrics
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import Pool, named_sql
from services.chassis.sealing import Box
from services.survey.cases import keeping
from services.survey.cases.case import Case, Entry
from services.survey.cases.desk import Contacts
from services.survey.cases.number import number_of
from services.survey.outcomes.message import Fate, OutcomeMessage, OutcomeSender, Result, Writer
from services.survey.outcomes.phone_numbers import number_of_person

log = structlog.get_logger()
_GIVE_UP_AFTER: Final = timedelta(days=2)
_FEWEST_TRIES: Final = 8
"""Words that waited, for a pause or a permission, are tried as often as this however old they are: for four hours."""
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=2)
_ENTRIES: Final = {
    Fate.ACCEPTED: "outcome_sent",
    Fate.REFUSED: "outcome_not_sent",
    Fate.WITHHELD: "outcome_not_sent",
    Fate.IN_DOUBT: "outcome_in_doubt",
}


@dataclass(frozen=True, slots=True)
class SendOutcomes:
    """Hands over what staff wrote, one message after the other.

    Attributes:
        sender: takes e-mails; none: there is no way for them.
        texts: takes text messages; none: there is no way for them.
        permitted: asked before every message; what is due waits while it says no.
        only_to: on a staging system, the only addresses that may be reached; none: all.
        words: opens what staff wrote.
        lease: a hand-over that is not settled after this long was interrupted.
    """

    pool: Pool
    sender: OutcomeSender | None
    permitted: Callable[[], bool]
    contacts: Contacts
    words: Box
    writer: Writer
    metrics: Metrics
    now: Callable[[], datetime]
    wake: Callable[[], None]
    texts: OutcomeSender | None = None
    only_to: frozenset[str] | None = None
    lease: timedelta = timedelta(minutes=2)
    period: float = 1.0
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "cases.sql", "outcomes.sql"))

    async def run(self, stop: asyncio.Event) -> None:
        """Send until stopped."""
        while not stop.is_set():
            begun = False
            with tried_again_later("outcomes"):
                await self.doubt_interrupted()
                begun = self.permitted() and await self.send_next()
            if not begun:
                await pause_or_stop(self.period, stop)

    async def send_next(self) -> bool:
        """Send the message that has waited longest; returns whether there was one."""
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql["begin_outcome"], self.now(), self.lease)
        if row is None:
            return False
        result = await self._hand_over(row)
        await until_done(lambda: self._settle(row, result))
        return True

    async def doubt_interrupted(self) -> None:
        """Doubt what a process began and never settled; it is not sent again."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(self.sql["expired_outcomes"], self.now())
        for row in rows:
            await self._settle(row, Result(Fate.IN_DOUBT, "interrupted"))

    async def _hand_over(self, row: asyncpg.Record) -> Result:
        try:
            async with self.pool.acquire() as connection:
                contact = await self.contacts(connection, UUID(row["response_id"]))
            if contact is None:
                return Result(Fate.WITHHELD, "no_contact")
            words = self.words.open(row["words_sealed"], f"outcome {row['case_id']}")
        except Poison as error:
            return Result(Fate.REFUSED, error.reason)
        except Exception as error:
            if not is_transient(error):
                raise
            return Result(Fate.REFUSED_FOR_NOW, "storage")  # nothing has left yet
        way = self._way(row, contact.address, words)
        if isinstance(way, str):
            return Result(Fate.WITHHELD, way)
        sender, message = way
        try:
            return await sender.send(message)
        except Exception as error:
            log.exception("outcome message failed", action="in_doubt", message_id=message.reference)
            return Result(Fate.IN_DOUBT, type(error).__name__)

    def _way(self, row: asyncpg.Record, address: str, words: str) -> tuple[OutcomeSender, OutcomeMessage] | str:
        """What takes the message, and the message; or why nothing may be sent to this address."""
        reference, language = str(row["message_id"]), row["language"]
        if "@" in address:
            message = self.writer.write(reference, address, language, number_of(row["serial"]), words)
            way, closed = self.sender, "no_mail"
        else:
            number = number_of_person(address, row["country"])
            if number is None and self.texts is not None:
                return "no_number"
            message = self.writer.write_short(reference, number or "", language, words)
            way, closed = self.texts, "no_email"
        if way is None:
            return closed
        if self.only_to is not None and message.address.casefold() not in self.only_to:
            return "not_listed"
        return way, message

    async def _settle(self, row: asyncpg.Record, result: Result) -> None:
        """Keep what came of a message, with its line in the case; the case's row is locked before the message's."""
        now = self.now()
        early = now - row["written_at"] < _GIVE_UP_AFTER or row["fence"] < _FEWEST_TRIES
        again = early and result.fate is Fate.REFUSED_FOR_NOW
        fate = Fate.REFUSED if result.fate is Fate.REFUSED_FOR_NOW else result.fate
        state = "planned" if again else fate.value
        due_at = now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(row["fence"], 10))
        async with self.pool.acquire() as connection, connection.transaction():
            [case] = map(Case.from_row, await connection.fetch(self.sql["lock_cases"], [row["serial"]]))
            settled = await connection.fetchval(
                self.sql["settle_outcome"], row["message_id"], row["fence"], state, result.reason, due_at, now
            )
            if settled is None or again:
                return
            told = case.outcome_told or fate is Fate.ACCEPTED
            entry = Entry(_ENTRIES[fate], (row["by_subject"], row["by_name"]), detail=result.reason)
            after = replace(case, revision=case.revision + 1, outcome_told=told, changed_at=now)
            await keeping.update(connection, self.sql, after, [entry])
        self.metrics.count("kvittera_outcomes_total", result=fate.value)
        self.wake()
