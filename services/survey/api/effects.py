"""What a reply by text message does: an answer, a comment, or never being asked again (D12)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.chassis.failures import Overloaded
from services.chassis.metrics import Metrics
from services.chassis.postgres import named_sql
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Circumstances, Outcome
from services.survey.answers.replies import person_key, read_reply
from services.survey.answers.responses import Answer
from services.survey.api.once import key_reused

CHANNEL = "sms"


@dataclass(frozen=True, slots=True)
class Effects:
    """Acts on replies.

    Attributes:
        caught_up: whether every invitation that Kafka holds at this moment is known here.
        cut_off: whether Kafka is away, so that nothing is sent either.
        country: of our numbers; a sender without a country's code is from there. Empty: nobody knows whose it is.
    """

    answers: Answers
    metrics: Metrics
    now: Callable[[], datetime]
    caught_up: Callable[[], Awaitable[bool]]
    cut_off: Callable[[], bool]
    country: str = ""
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "api.sql"))

    async def of(self, sender: str, text: str, *, message_id: str, sha256: bytes) -> None:
        """Have the effect that the person meant; returns after the commit.

        Args:
            sender: whose number it came from.
            text: what the person wrote.
            message_id: the same when the message is handed over again, with the way that it came.
            sha256: of what was handed over.

        Raises:
            Overloaded, database errors: it is not known whether it was kept. Trying again is safe.
            Problem: 422: another message had the same id.
        """
        result = await self._act(sender, text, self._attempt(message_id, sha256))
        self.metrics.count("kvittera_inbound_total", result=result)

    def left_out(self, unreadable: int) -> None:
        """Count messages that could not be read, and stood among others that could."""
        if unreadable:
            self.metrics.count("kvittera_inbound_total", unreadable, result="unreadable")

    def _attempt(self, message_id: str, sha256: bytes) -> bytes:
        """As `responses.attempt`, but keyed: a number and a short text could be found by trying."""
        pseudonym = self.answers.seal.pseudonym
        return pseudonym(f"message {message_id}")[:8] + pseudonym(f"words {sha256.hex()}")[:8]

    async def _act(self, sender: str, text: str, attempt: bytes) -> str:
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
        token_sha256 = await self._asked_last(person_id, attempt)
        if token_sha256 is None:
            return "unknown"
        how = Circumstances(attempt=attempt)
        recorded = await self.answers.record_for(token_sha256, answer, channel=CHANNEL, how=how)
        if recorded.outcome is Outcome.REUSED:
            raise key_reused()
        return "answer" if recorded.outcome is Outcome.KEPT else "unknown"

    async def _asked_last(self, person_id: str, attempt: bytes) -> bytes | None:
        """What a reply is about: the request that left last, which may still be on its way here."""
        caught_up = await self.caught_up()
        found = await self.answers.pool.fetchrow(self.sql["invitation_of_reply"], person_id, attempt)
        # An older request is not guessed at; while Kafka is away nothing newer leaves, and what is known is the last.
        if not caught_up and (found is None or not (found["before"] or self.cut_off())):
            raise Overloaded("not all invitations are known yet")
        return None if found is None else bytes(found["token_sha256"])
