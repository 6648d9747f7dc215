"""Replies by text message: a gateway's signed webhook becomes an answer, a comment or a STOP (D12)."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from fastapi import Request, Response

from services.chassis.metrics import Metrics
from services.chassis.postgres import named_sql
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Outcome
from services.survey.answers.replies import person_key, read_reply
from services.survey.answers.responses import Answer
from services.survey.api.models import Accepted, InboundMessage
from services.survey.api.once import Once, Reply
from services.survey.api.problems import Problem
from services.survey.api.reading import checked, read_bytes
from services.survey.api.signatures import Signatures

CHANNEL = "sms"
_OWNER = "inbound"
_WEBHOOK_ID = re.compile(r"[\x21-\x7e]{1,255}")


def _sql() -> Mapping[str, str]:
    return named_sql("services.survey", "api.sql")


@dataclass(frozen=True, slots=True)
class InboundRoutes:
    """`POST /api/inbound/sms`."""

    answers: Answers
    signatures: Signatures
    once: Once
    metrics: Metrics
    now: Callable[[], datetime]
    sql: Mapping[str, str] = field(default_factory=_sql)

    async def sms(self, request: Request) -> Response:
        """Act on a message; 2xx only after the commit, and the same 202 whoever sent it."""
        sent = await read_bytes(request)
        if not self.signatures.hold(request.headers, sent):
            raise Problem(HTTPStatus.UNAUTHORIZED, "The signature is missing, wrong or older than five minutes")
        webhook_id = request.headers["webhook-id"]
        if not _WEBHOOK_ID.fullmatch(webhook_id):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "webhook-id must be 1 to 255 visible ASCII characters")
        message = checked(sent, InboundMessage)

        async def work() -> Reply:
            self.metrics.count("kvittera_inbound_total", result=await self._act(message))
            return Reply(HTTPStatus.ACCEPTED, Accepted().model_dump())

        response: Response = (await self.once.run(_OWNER, webhook_id, hashlib.sha256(sent).digest(), work)).response()
        return response

    async def _act(self, message: InboundMessage) -> str:
        key = person_key(message.sender)
        if key is None:
            return "unknown"
        person_id = self.answers.seal.pseudonym(key).hex()
        reply = read_reply(message.text)
        if reply.stop:
            await self.answers.pool.execute(self.sql["stop_person"], person_id, self.now())
            self.answers.relay.wake()
            return "stop"
        answer = Answer(score=reply.score, comment=reply.comment)
        if not answer.says_something:
            return "empty"
        token_sha256 = await self.answers.pool.fetchval(self.sql["latest_open_invitation"], person_id)
        if token_sha256 is None:
            return "unknown"
        recorded = await self.answers.record_for(bytes(token_sha256), answer, channel=CHANNEL)
        return "answer" if recorded.outcome is Outcome.KEPT else "unknown"
