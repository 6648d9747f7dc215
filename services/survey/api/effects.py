"""What a reply by text message does: an answer, a comment, or never being asked again (D12)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg

from services.chassis.failures import Overloaded
from services.chassis.metrics import Metrics
from services.chassis.pauses import pauses
from services.chassis.postgres import named_sql
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Circumstances, Outcome
from services.survey.answers.replies import person_key, read_reply
from services.survey.answers.responses import Answer
from services.survey.api.once import key_reused

CHANNEL = "sms"
PATIENCE: Final = 5.0
"""Seconds; a provider waits 15 for us."""
_CUT_OFF_SECONDS: Final = 300.0
"""Before that, a newer request may be on its way, or the notifier may reach Kafka where we do not."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Acts on replies.

    Attributes:
        caught_up: whether every invitation that Kafka holds at this moment is known here.
        cut_off: whether Kafka has been away for these seconds, so that nothing is sent either.
        country: of our numbers; a sender without a country's code is from there. Empty: nobody knows whose it is.
        patience: seconds that a reply waits for newer requests to be known, where nobody sends it again.
    """

    answers: Answers
    metrics: Metrics
    now: Callable[[], datetime]
    caught_up: Callable[[], Awaitable[bool]]
    cut_off: Callable[[float], bool]
    country: str = ""
    patience: float = PATIENCE
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "api.sql"))

    async def of(self, sender: str, text: str, *, message_id: str, sha256: bytes, sends_again: bool = True) -> None:
        """Have the effect that the person meant; returns after the commit.

        Args:
            sender: whose number it came from.
            text: what the person wrote.
            message_id: the same when the message is handed over again, with the way that it came.
            sha256: of what was handed over.
            sends_again: whether who hands it over does so again where it was not kept.

        Raises:
            Overloaded, database errors: it is not known whether it was kept. Trying again is safe.
            Problem: 422: another message had the same id.
        """
        result = await self._act(sender, text, self._attempt(message_id, sha256), sends_again)
        self.metrics.count("kvittera_inbound_total", result=result)

    def left_out(self, unreadable: int) -> None:
        """Count messages that could not be read, and stood among others that could."""
        if unreadable:
            self.metrics.count("kvittera_inbound_total", unreadable, result="unreadable")

    def _attempt(self, message_id: str, sha256: bytes) -> bytes:
        """As `responses.attempt`, but keyed: a number and a short text could be found by trying."""
        pseudonym = self.answers.seal.pseudonym
        return pseudonym(f"message {message_id}")[:8] + pseudonym(f"words {sha256.hex()}")[:8]

    async def _act(self, sender: str, text: str, attempt: bytes, sends_again: bool) -> str:
        key = person_key(sender, self.country)
        if key is None:
            return "unknown"
        person_id = self.answers.seal.pseudonym(key).hex()
        reply = read_reply(text)
        if reply.stop:
            await self.answers.pool.execute(self.sql["stop_person"], person_id, self.now(), "reply")
            self.answers.relay.wake()
            return "stop"
        answer = Answer(score=reply.score, comment=reply.comment)
        if not answer.says_something:
            return "empty"
        token_sha256 = await self._asked_last(person_id, attempt, sends_again)
        if token_sha256 is None:
            return "unknown"
        how = Circumstances(attempt=attempt)
        recorded = await self.answers.record_for(token_sha256, answer, channel=CHANNEL, how=how)
        if recorded.outcome is Outcome.REUSED:
            raise key_reused()
        return "answer" if recorded.outcome is Outcome.KEPT else "unknown"

    async def _asked_last(self, person_id: str, attempt: bytes, sends_again: bool) -> bytes | None:
        """What a reply is about: the request that left last, which may still be on its way here."""
        caught_up = await self.caught_up()
        found = await self._last_known(person_id, attempt)
        # An older request is not guessed at; while Kafka is away nothing newer leaves, and what is known is the last.
        sure = caught_up or (found is not None and (found["before"] or self.cut_off(_CUT_OFF_SECONDS)))
        if not sure and not sends_again:
            # A refusal would be the end of it: rather the last request that is known, which nearly always is the last.
            caught_up = await self._catches_up()
            found = await self._last_known(person_id, attempt)
            sure = caught_up or found is not None
        if not sure:
            raise Overloaded("not all invitations are known yet")
        return None if found is None else bytes(found["token_sha256"])

    async def _last_known(self, person_id: str, attempt: bytes) -> asyncpg.Record | None:
        return await self.answers.pool.fetchrow(self.sql["invitation_of_reply"], person_id, attempt)

    async def _catches_up(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                for pause in pauses(first=0.05, longest=0.5):
                    if await self.caught_up():
                        return True
                    await asyncio.sleep(pause)
        return False
