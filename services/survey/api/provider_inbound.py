"""Replies by text message straight from 46elks, Twilio and WhatsApp, with the proof that each of them has."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import Request, Response

from services.chassis import provider_signatures
from services.chassis.failures import Overloaded
from services.chassis.provider_signatures import same
from services.survey.answers.responses import Rejected
from services.survey.api.effects import Effects
from services.survey.api.once import Once, Reply
from services.survey.api.problems import Problem
from services.survey.api.provider_messages import Incoming, from_46elks, from_twilio, from_whatsapp
from services.survey.api.reading import read_bytes
from services.survey.bodies import FORM, JSON, LONGEST_INBOUND
from services.survey.recipient.forms import parse_form

TWILIO_PATH: Final = "/api/inbound/twilio"
T = TypeVar("T")
_NOBODY = "The secret or signature is missing or wrong"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What proves that a provider asks; an empty one lets nobody in.

    Attributes:
        url: stands in the address for 46elks, which signs nothing, and is WhatsApp's verify token.
        twilio: the account's auth token.
        whatsapp: the app's secret.
    """

    url: str = ""
    twilio: str = ""
    whatsapp: str = ""


@dataclass(frozen=True, slots=True)
class ProviderInbound:
    """`POST /api/inbound/46elks`, `/api/inbound/twilio` and `/api/inbound/whatsapp`.

    Attributes:
        base: where the survey is reached from outside; Twilio signs the address too.
    """

    effects: Effects
    secrets: Secrets
    once: Once
    base: str

    async def elks(self, request: Request) -> Response:
        """46elks; what is answered would be sent to the person, so it is nothing."""
        self._prove(self.secrets.url, self.secrets.url, request.query_params.get("secret", ""))
        form = _form(await read_bytes(request, FORM, LONGEST_INBOUND))
        await self._act("46elks", _or_422(lambda: [from_46elks(form)]))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def twilio(self, request: Request) -> Response:
        """Twilio; an empty answer sends nothing."""
        form = _form(await self._read(request, self.secrets.twilio, FORM))
        expected = provider_signatures.twilio(self.secrets.twilio, self.base.rstrip("/") + TWILIO_PATH, form)
        self._prove(self.secrets.twilio, expected, request.headers.get("x-twilio-signature", ""))
        await self._act("twilio", _or_422(lambda: [from_twilio(form)]), sends_again=False)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def whatsapp(self, request: Request) -> Response:
        """WhatsApp's Cloud API."""
        sent = await self._read(request, self.secrets.whatsapp, JSON)
        expected = provider_signatures.meta(self.secrets.whatsapp, sent)
        self._prove(self.secrets.whatsapp, expected, request.headers.get("x-hub-signature-256", ""))
        notification = _or_422(lambda: from_whatsapp(sent))
        self.effects.left_out(notification.unreadable)
        await self._act("whatsapp", notification.messages)
        return Response(status_code=HTTPStatus.OK)

    async def whatsapp_challenge(self, request: Request) -> Response:
        """Answer whether the address is ours, as Meta asks once."""
        self._prove(self.secrets.url, self.secrets.url, request.query_params.get("hub.verify_token", ""))
        return Response(request.query_params.get("hub.challenge", ""), media_type="text/plain")

    async def _read(self, request: Request, secret: str, media_type: str) -> bytes:
        if not secret:
            raise Problem(HTTPStatus.UNAUTHORIZED, _NOBODY)  # nobody can sign, so nothing is read
        return await read_bytes(request, media_type, LONGEST_INBOUND)

    def _prove(self, secret: str, expected: str, shown: str) -> None:
        if not secret or not same(expected, shown):
            raise Problem(HTTPStatus.UNAUTHORIZED, _NOBODY)

    async def _act(self, provider: str, messages: Sequence[Incoming], *, sends_again: bool = True) -> None:
        owner = f"inbound {provider}"
        refused: Problem | Overloaded | None = None
        for message in messages:
            digest = hashlib.sha256(f"{message.sender}\n{message.text}".encode(errors="surrogatepass")).digest()

            async def work(message: Incoming = message, digest: bytes = digest) -> Reply:
                named = f"{owner} {message.message_id}"
                await self.effects.of(
                    message.sender, message.text, message_id=named, sha256=digest, sends_again=sends_again
                )
                return Reply(HTTPStatus.ACCEPTED, {})

            try:
                await self.once.run(owner, message.message_id, digest, work)
            except (Problem, Overloaded) as problem:
                refused = refused or problem  # the others of the batch are heard all the same
        if refused is not None:
            raise refused


def _form(sent: bytes) -> dict[str, str]:
    return _or_422(lambda: {name: values[-1] for name, values in parse_form(sent).items()})


def _or_422(read: Callable[[], T]) -> T:
    try:
        return read()
    except Rejected as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"The {error.field} {error.rule}") from None
