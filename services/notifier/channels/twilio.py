"""Text messages through Twilio's Messages resource: a form in, JSON out; receipts by `StatusCallback`.

https://www.twilio.com/docs/messaging/api/message-resource and https://www.twilio.com/docs/api/errors
"""

from collections.abc import Mapping
from typing import Literal

import aiohttp
from pydantic import Field

from schemas.delivery import ChannelKind
from services.chassis import provider_signatures
from services.chassis.failures import Poison
from services.chassis.provider_signatures import same
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings
from services.notifier.channels.http_call import Caller
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.reports import FORGED, Posted, Progress, Report, word

_BUSY = frozenset({20429, 14107, 21611, 60728, 63038})
"""Too many requests, a loop between two numbers, a full queue, the hourly and the daily limit of the account."""
_OUR_SIDE = frozenset({20003, 20005, 21601, 21606, 21659, 21660})
"""Wrong credentials, an account that is not active, and a sender that is not the account's."""

_PROGRESS = {
    "accepted": Progress.ACCEPTED,
    "scheduled": Progress.ACCEPTED,
    "queued": Progress.ACCEPTED,
    "sending": Progress.ACCEPTED,
    "sent": Progress.SENT,
    "delivered": Progress.DELIVERED,
    "read": Progress.DELIVERED,
    "undelivered": Progress.UNDELIVERED,
    "failed": Progress.UNDELIVERED,
    "canceled": Progress.UNDELIVERED,
}
_HOPELESS = frozenset({"21211", "21214", "21614", "30005", "30006"})
"""No such number, or one that takes no text messages. That a phone is off (30003) is no such thing."""


class TwilioTable(ProviderTable):
    """`adapter = "twilio"`; the auth token stands in `secret_file` and also signs receipts."""

    adapter: Literal["twilio"]
    account_sid: str = Field(pattern=r"^AC[0-9a-f]{32}$")
    sender: str
    """A number, an alphanumeric sender, or a messaging service (`MG…`)."""
    url: str = "https://api.twilio.com"

    def build(self, surroundings: Surroundings) -> "Twilio":
        """The channel."""
        return Twilio(self, self.secret(), surroundings.links)


class Twilio:
    """Hands text messages to Twilio."""

    kinds = frozenset({ChannelKind.SMS})

    def __init__(self, table: TwilioTable, token: str, links: ReceiptLinks) -> None:
        self._table = table
        self._url = f"{table.url.rstrip('/')}/2010-04-01/Accounts/{table.account_sid}/Messages.json"
        self._token = token
        self._headers = {"Authorization": aiohttp.encode_basic_auth(table.account_sid, token)}
        self._links = links
        self._caller = Caller(table.name, table.timeout_seconds)

    async def send(self, message: Message) -> Result:
        """Hand over; a refusal's own code says more than its status."""
        name, sender = self._table.name, self._table.sender
        form = {
            "MessagingServiceSid" if sender.startswith("MG") else "From": sender,
            "To": message.address,
            "Body": message.text,
            "StatusCallback": self._links.url(name, message.reference),
        }
        answer = await self._caller.post(self._url, self._headers, form=form)
        if isinstance(answer, Result):
            return answer
        fate = answer.fate(name)
        code = answer.told().get("code")
        if fate.fate is Fate.REFUSED and isinstance(code, int):
            again = (_BUSY | _OUR_SIDE) & {code}
            wait = 60.0 if code in _BUSY else 300.0
            return Result(Fate.REFUSED_FOR_NOW if again else Fate.REFUSED, f"{name}_{code}", wait if again else 0.0)
        return fate

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  it can be asked only by its own id
        """Twilio cannot be asked by our reference; its receipt tells."""
        return None

    def reports(self, posted: Posted) -> list[Report]:
        """A status callback: the address holds our proof, and Twilio signs address and form."""
        reference = posted.proved_reference(self._table.name, self._links)
        form = posted.form()
        expected = provider_signatures.twilio(self._token, self._links.url(self._table.name, reference), form)
        if not same(expected, posted.headers.get("x-twilio-signature", "")):
            raise Poison(FORGED, "signed with another key, or for another address")
        return [read_report(form, reference, posted.body)]

    async def close(self) -> None:
        """Let connections go."""
        await self._caller.close()


def read_report(form: Mapping[str, str], reference: str, raw: bytes) -> Report:
    """`MessageSid`, `MessageStatus` and, where it failed, `ErrorCode`.

    Raises:
        Poison: it is no such report.
    """
    message_id, status = word(form.get("MessageSid")), word(form.get("MessageStatus"))
    if status not in _PROGRESS:
        raise Poison("unreadable", "an unknown status")
    progress = _PROGRESS[status]
    if progress is not Progress.UNDELIVERED:
        return Report(reference, message_id, status, progress, raw)
    code = word(form.get("ErrorCode") or status)
    return Report(reference, message_id, status, progress, raw, code, hopeless=code in _HOPELESS)
