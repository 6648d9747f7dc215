"""Replies by text message from a gateway that signs as Standard Webhooks says (D12)."""

import hashlib
import re
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request, Response

from services.survey.api.effects import Effects
from services.survey.api.models import Accepted, InboundMessage
from services.survey.api.once import Once, Reply
from services.survey.api.problems import Problem
from services.survey.api.reading import checked, read_bytes
from services.survey.api.signatures import Signatures
from services.survey.bodies import LONGEST_INBOUND

_OWNER = "inbound"
_WEBHOOK_ID = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class InboundRoutes:
    """`POST /api/inbound/sms`."""

    effects: Effects
    signatures: Signatures
    once: Once

    async def sms(self, request: Request) -> Response:
        """Act on a message; 2xx only after the commit, and the same 202 whoever sent it."""
        if not self.signatures.webhooks:
            raise _unsigned()  # nobody can sign, so nothing is read
        sent = await read_bytes(request, longest=LONGEST_INBOUND)
        if not self.signatures.hold(request.headers, sent):
            raise _unsigned()
        webhook_id = request.headers["webhook-id"]
        if not _WEBHOOK_ID.fullmatch(webhook_id):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "webhook-id must be 1 to 255 visible ASCII characters")
        message = checked(sent, InboundMessage)
        digest = hashlib.sha256(sent).digest()

        async def work() -> Reply:
            named = f"{_OWNER} {webhook_id}"
            await self.effects.of(message.sender, message.text, message_id=named, sha256=digest)
            return Reply(HTTPStatus.ACCEPTED, Accepted().model_dump())

        return (await self.once.run(_OWNER, webhook_id, digest, work)).response()


def _unsigned() -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "The signature is missing, wrong or older than five minutes")
