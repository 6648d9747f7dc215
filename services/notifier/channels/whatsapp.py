"""A utility template over WhatsApp's Graph API (D18). The words stand in the template that Meta has approved.

https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
The address is a phone number, so it stands among the providers of text messages; the carrier needs an opt-in.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from schemas.delivery import ChannelKind
from services.chassis import provider_signatures
from services.chassis.failures import Poison
from services.chassis.provider_signatures import same
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings, read_secret
from services.notifier.channels.http_call import Caller
from services.notifier.channels.reports import FORGED, Posted, Progress, Report, own_reference, word

_BUSY = frozenset({4, 80007, 130429, 131048, 131056})
"""Limits of the app, the account, the throughput, the number's reputation, and of one pair of numbers."""
_OUR_SIDE = frozenset({0, 3, 10, 33, 190, 131031, 131042, 132000, 132001, 132012, 132015, 132016, 133010})
"""Token, permission, number, payment, and a template that is missing, paused, disabled or has other places."""

_PROGRESS = {
    "sent": Progress.SENT,
    "delivered": Progress.DELIVERED,
    "read": Progress.DELIVERED,
    "failed": Progress.UNDELIVERED,
}


class WhatsappTable(ProviderTable):
    """`adapter = "whatsapp"`; the access token stands in `secret_file`."""

    adapter: Literal["whatsapp"]
    phone_number_id: str
    template: str
    """An approved utility template: {{1}} who asks, {{2}} what happened and the question; its button ends in {{1}}."""
    languages: dict[str, str]
    """The template's own code for each of our languages: `sv = "sv"`, `nb = "nb"`, `en = "en_GB"`."""
    url: str = "https://graph.facebook.com/v23.0"
    app_secret_file: Path | None = None
    """File with the app's secret, by which Meta signs what it reports; without it nothing is taken."""
    verify_token: str | None = Field(default=None, min_length=16)
    """What Meta asks for when the address for reports is entered there; made up by you."""

    def build(self, surroundings: Surroundings) -> "Whatsapp":  # noqa: ARG002  it needs none
        """The channel."""
        app_secret = (
            None if self.app_secret_file is None else read_secret(self.name, self.app_secret_file, "app_secret_file")
        )
        return Whatsapp(self, self.secret(), app_secret)


class Whatsapp:
    """Hands template messages to the Graph API."""

    kinds = frozenset({ChannelKind.SMS})

    def __init__(self, table: WhatsappTable, token: str, app_secret: str | None = None) -> None:
        self._table = table
        self._url = f"{table.url.rstrip('/')}/{table.phone_number_id}/messages"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._app_secret = app_secret
        self._caller = Caller(table.name, table.timeout_seconds)

    async def send(self, message: Message) -> Result:
        """Hand over; a language without a template is for another provider."""
        name = self._table.name
        language = self._table.languages.get(message.language)
        if language is None or not message.link:
            return Result(Fate.REFUSED, f"{name}_no_template", elsewhere=True)
        answer = await self._caller.post(self._url, self._headers, json=self._body(message, language))
        if isinstance(answer, Result):
            return answer
        fate = answer.fate(name)
        code = _code(answer.told())
        if fate.fate not in {Fate.REFUSED, Fate.REFUSED_FOR_NOW} or code is None:
            return fate
        # A code makes a refusal milder, never harder: 403 is about our account whatever its code.
        wait = 60.0 if code in _BUSY else 300.0 if code in _OUR_SIDE else 0.0
        waits = wait > 0 or fate.fate is Fate.REFUSED_FOR_NOW
        return Result(Fate.REFUSED_FOR_NOW if waits else Fate.REFUSED, f"{name}_{code}", wait or fate.again_after)

    def _body(self, message: Message, language: str) -> dict[str, object]:
        token = message.link.rpartition("/")[2]
        words = [{"type": "text", "text": text} for text in (message.asker, message.told)]
        button = {"type": "text", "text": token}
        return {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.address.lstrip("+"),
            "type": "template",
            "biz_opaque_callback_data": message.reference,
            "template": {
                "name": self._table.template,
                "language": {"code": language},
                "components": [
                    {"type": "body", "parameters": words},
                    {"type": "button", "sub_type": "url", "index": "0", "parameters": [button]},
                ],
            },
        }

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  there is no such question
        """The Graph API cannot be asked; its status webhook tells."""
        return None

    def reports(self, posted: Posted) -> list[Report]:
        """Status notifications, signed with the app's secret."""
        if self._app_secret is None:
            raise Poison(FORGED, "there is no secret to check a signature by")
        expected = provider_signatures.meta(self._app_secret, posted.body)
        if not same(expected, posted.headers.get("x-hub-signature-256", "")):
            raise Poison(FORGED, "signed with another key")
        return list(read_reports(posted.json()))

    def challenge(self, query: Mapping[str, str]) -> str | None:
        """Answer whether the address is ours, as Meta asks once."""
        expected = self._table.verify_token
        if expected is None or not same(expected, query.get("hub.verify_token", "")):
            return None
        return query.get("hub.challenge", "")

    async def close(self) -> None:
        """Let connections go."""
        await self._caller.close()


def read_reports(told: Any) -> Iterator[Report]:
    """Every status that carries our reference; messages of people come the same way, and are not for us.

    That a number has no WhatsApp does not make it hopeless: it may take text messages.

    Raises:
        Poison: it is no such notification.
    """
    try:
        statuses = [s for e in told["entry"] for c in e["changes"] for s in c["value"].get("statuses", [])]
        for status in statuses:
            reference = own_reference(status.get("biz_opaque_callback_data"))
            progress = _PROGRESS.get(status["status"])
            if reference is None or progress is None:
                continue
            errors = status.get("errors") or [{}]
            reason = word(errors[0].get("code", "failed")) if progress is Progress.UNDELIVERED else None
            raw = json.dumps(status).encode()
            yield Report(reference, word(status["id"]), word(status["status"]), progress, raw, reason)
    except (KeyError, TypeError, AttributeError, IndexError):
        raise Poison("unreadable", "no notification of this API") from None


def _code(told: Mapping[str, Any]) -> int | None:
    try:
        return int(told["error"]["code"])
    except (ValueError, TypeError, KeyError):
        return None
