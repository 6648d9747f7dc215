"""Text messages through 46elks: POST /a1/sms, a form in, JSON out; receipts by `whendelivered`.

https://46elks.com/docs/send-sms and https://46elks.com/docs/sms-delivery-reports
"""

from collections.abc import Mapping
from typing import Literal

import aiohttp

from schemas.delivery import ChannelKind
from services.chassis.failures import Poison
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings
from services.notifier.channels.http_call import Caller
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.reports import Posted, Progress, Report, word

_PROGRESS = {"created": Progress.ACCEPTED, "sent": Progress.SENT, "delivered": Progress.DELIVERED}


class ElksTable(ProviderTable):
    """`adapter = "46elks"`."""

    adapter: Literal["46elks"]
    user: str
    """The API user name; the password stands in `secret_file`."""
    sender: str
    """A number, or up to 11 letters, which cannot take replies."""
    url: str = "https://api.46elks.com/a1/sms"

    def build(self, surroundings: Surroundings) -> "Elks":
        """The channel."""
        return Elks(self, self.secret(), surroundings.links)


class Elks:
    """Hands text messages to 46elks."""

    kinds = frozenset({ChannelKind.SMS})

    def __init__(self, table: ElksTable, password: str, links: ReceiptLinks) -> None:
        self._table = table
        self._headers = {"Authorization": aiohttp.encode_basic_auth(table.user, password)}
        self._links = links
        self._caller = Caller(table.name, table.timeout_seconds)

    async def send(self, message: Message) -> Result:
        """Hand over; an answer that says `failed` is a refusal though its status is 200."""
        name = self._table.name
        form = {
            "from": self._table.sender,
            "to": message.address,
            "message": message.text,
            "whendelivered": self._links.url(name, message.reference),
        }
        answer = await self._caller.post(self._table.url, self._headers, form=form)
        if isinstance(answer, Result):
            return answer
        fate = answer.fate(name)
        if fate.fate is Fate.ACCEPTED and answer.told().get("status") == "failed":
            return Result(Fate.REFUSED, f"{name}_failed")
        return fate

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  it can be asked only by its own id
        """46elks cannot be asked by our reference; its receipt tells."""
        return None

    def reports(self, posted: Posted) -> list[Report]:
        """A delivery report; the address is the proof, for 46elks signs nothing."""
        reference = posted.proved_reference(self._table.name, self._links)
        return [read_report(posted.form(), reference, posted.body)]

    async def close(self) -> None:
        """Let connections go."""
        await self._caller.close()


def read_report(form: Mapping[str, str], reference: str, raw: bytes) -> Report:
    """`id`, `status` and, when it arrived, `delivered`; why a message failed is not told.

    Raises:
        Poison: it is no such report.
    """
    message_id, status = word(form.get("id")), word(form.get("status"))
    if status == "failed":
        return Report(reference, message_id, status, Progress.UNDELIVERED, raw, "failed")
    if status not in _PROGRESS:
        raise Poison("unreadable", "an unknown status")
    return Report(reference, message_id, status, _PROGRESS[status], raw)
