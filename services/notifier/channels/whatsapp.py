"""A utility template over WhatsApp's Graph API (D18). The words stand in the template that Meta has approved.

https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
The address is a phone number, so it stands among the providers of text messages; the carrier needs an opt-in.
"""

import json
from typing import Literal

from schemas.delivery import ChannelKind
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings
from services.notifier.channels.http_call import Caller

_BUSY = frozenset({4, 80007, 130429, 131048, 131056})
"""Limits of the app, the account, the throughput, the number's reputation, and of one pair of numbers."""
_OUR_SIDE = frozenset({0, 3, 10, 33, 190, 131031, 131042, 132000, 132001, 132012, 132015, 132016, 133010})
"""Token, permission, number, payment, and a template that is missing, paused, disabled or has other places."""


class WhatsappTable(ProviderTable):
    """`adapter = "whatsapp"`; the access token stands in `secret_file`."""

    adapter: Literal["whatsapp"]
    phone_number_id: str
    template: str
    """An approved utility template: {{1}} who asks, {{2}} what happened and the question; its button ends in {{1}}."""
    languages: dict[str, str]
    """The template's own code for each of our languages: `sv = "sv"`, `nb = "nb"`, `en = "en_GB"`."""
    url: str = "https://graph.facebook.com/v23.0"

    def build(self, surroundings: Surroundings) -> "Whatsapp":  # noqa: ARG002  it needs none
        """The channel."""
        return Whatsapp(self, self.secret())


class Whatsapp:
    """Hands template messages to the Graph API."""

    kinds = frozenset({ChannelKind.SMS})

    def __init__(self, table: WhatsappTable, token: str) -> None:
        self._table = table
        self._url = f"{table.url.rstrip('/')}/{table.phone_number_id}/messages"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._caller = Caller(table.name, table.timeout_seconds)

    async def send(self, message: Message) -> Result:
        """Hand over; a language without a template is refused here."""
        name = self._table.name
        language = self._table.languages.get(message.language)
        if language is None or not message.link:
            return Result(Fate.REFUSED, f"{name}_no_template")
        answer = await self._caller.post(self._url, json=self._body(message, language), headers=self._headers)
        if isinstance(answer, Result):
            return answer
        fate = answer.fate(name)
        code = _code(answer.body)
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

    async def close(self) -> None:
        """Let connections go."""
        await self._caller.close()


def _code(body: bytes) -> int | None:
    try:
        error = json.loads(body).get("error")
        return int(error["code"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
