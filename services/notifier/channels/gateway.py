"""Text messages through any HTTP gateway that takes JSON, as its table describes it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.delivery import ChannelKind
from services.chassis.failures import Poison
from services.notifier.channels import Fate, Message, Result
from services.notifier.channels.described import ProviderTable, Surroundings
from services.notifier.channels.http_call import Answer, Caller
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.reports import Posted, Progress, Report, word


class ReceiptFields(BaseModel):
    """What a gateway's receipts look like: a form or a JSON object."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str = "id"
    """The field with the gateway's id of the message."""
    status: str = "status"
    """The field with the status."""
    reason: str | None = None
    """The field with the code of why it did not arrive."""
    statuses: dict[str, Progress]
    """What its statuses mean: `DELIVRD = "delivered"`."""
    hopeless: frozenset[str] = frozenset()
    """Codes of numbers that take no message, now or later."""


class GatewayTable(ProviderTable):
    """`adapter = "gateway"`."""

    adapter: Literal["gateway"]
    url: str = Field(pattern=r"^https?://")
    """Where messages are posted to."""
    header: str = "Authorization"
    """The header that holds the secret."""
    scheme: str = "Bearer"
    """What stands before the secret in it; empty: nothing."""
    fields: dict[Literal["to", "text", "reference", "receipt_url", "language"], str]
    """What the gateway calls our facts: `to = "recipient"`, `text = "body"`."""
    constant: dict[str, str | int | bool] = Field(default_factory=dict)
    """Fields that are always the same, such as the sender."""
    reference_header: str | None = None
    """Header that takes our reference as an idempotency key, where there is one."""
    error_field: str | None = None
    """The field of a refusal that holds its code."""
    errors: dict[str, Literal["refused", "refused_for_now"]] = Field(default_factory=dict)
    """What such codes mean, where the status alone would say something else."""
    receipts: ReceiptFields | None = None
    """How it reports back, where `fields` tells it the address."""
    refused_for_now: frozenset[int] = frozenset()
    """Further statuses by which this gateway promises that nothing was taken, such as 503."""

    def build(self, surroundings: Surroundings) -> "Gateway":
        """The channel."""
        return Gateway(self, self.secret(), surroundings.links)


class Gateway:
    """Hands text messages to the described gateway."""

    kinds = frozenset({ChannelKind.SMS})

    def __init__(self, table: GatewayTable, secret: str, links: ReceiptLinks) -> None:
        self._table = table
        self._headers = {table.header: f"{table.scheme} {secret}".strip()}
        self._links = links
        self._caller = Caller(table.name, table.timeout_seconds)

    async def send(self, message: Message) -> Result:
        """Hand over."""
        table = self._table
        facts = {
            "to": message.address,
            "text": message.text,
            "reference": message.reference,
            "language": message.language,
        }
        if "receipt_url" in table.fields:
            facts["receipt_url"] = self._links.url(table.name, message.reference)
        body: dict[str, Any] = {**table.constant, **{theirs: facts[ours] for ours, theirs in table.fields.items()}}
        headers = dict(self._headers)
        if table.reference_header is not None:
            headers[table.reference_header] = message.reference
        answer = await self._caller.post(table.url, headers, json=body)
        return answer if isinstance(answer, Result) else self._judge(answer)

    def _judge(self, answer: Answer) -> Result:
        fate = answer.fate(self._table.name, refused_for_now=self._table.refused_for_now)
        code = str(answer.told().get(self._table.error_field)) if self._table.error_field is not None else ""
        # Only a refusal is told apart further: a code must never turn a doubt into one.
        if fate.fate not in {Fate.REFUSED, Fate.REFUSED_FOR_NOW} or code not in self._table.errors:
            return fate
        meant = Fate(self._table.errors[code])
        return Result(meant, f"{self._table.name}_{code}", fate.again_after or 60.0)

    async def look_up(self, reference: str) -> Result | None:  # noqa: ARG002  no two gateways are asked alike
        """A described gateway is not asked; its receipt tells."""
        return None

    def reports(self, posted: Posted) -> list[Report]:
        """A receipt in the described form; the address is the proof."""
        reference = posted.proved_reference(self._table.name, self._links)
        if self._table.receipts is None:
            raise Poison("unreadable", "the providers' file describes no receipts")
        is_json = posted.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        told = posted.json() if is_json else posted.form()
        return [read_report(self._table.receipts, told, reference, posted.body)]

    async def close(self) -> None:
        """Let connections go."""
        await self._caller.close()


def read_report(fields: ReceiptFields, told: Any, reference: str, raw: bytes) -> Report:
    """A receipt by the names that the table gives.

    Raises:
        Poison: it is none.
    """
    if not isinstance(told, Mapping):
        raise Poison("unreadable", "no object")
    message_id, status = word(told.get(fields.id)), word(told.get(fields.status))
    if status not in fields.statuses:
        raise Poison("unreadable", "a status that the table does not name")
    progress = fields.statuses[status]
    if progress is not Progress.UNDELIVERED:
        return Report(reference, message_id, status, progress, raw)
    code = told.get(fields.reason) if fields.reason is not None else None
    reason = status if code is None else word(code)
    return Report(reference, message_id, status, progress, raw, reason, hopeless=reason in fields.hopeless)
