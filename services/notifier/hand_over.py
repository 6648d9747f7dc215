"""One call: from a claimed request, which is `calling` by now, to how its hand-over went. Nothing is written here."""

import time
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
import structlog

from schemas.delivery import ChannelKind
from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.traces import Traces
from services.chassis.tracing import step_of
from services.notifier.breaker import ProviderBreaker
from services.notifier.channels import Channel, Fate, Result
from services.notifier.phrasing import occasion_of
from services.notifier.policy import as_sent
from services.notifier.render import Invitation, Renderer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HandOver:
    """Renders and calls.

    Attributes:
        longest_wait: seconds from the claim in which a call may still begin.
        traces: where each call is told as a step.
    """

    channel: Channel
    renderer: Renderer
    breaker: ProviderBreaker
    metrics: Metrics
    longest_wait: float
    traces: Traces = field(default_factory=lambda: Traces("untold"))

    async def __call__(self, row: asyncpg.Record, secret: str | None, waited: float) -> Result:
        """The fate of a claimed row that waited so many seconds since its claim; `secret` is None where it is lost."""
        try:
            message = self.renderer.render(invitation_of(row, secret))
        except Exception as error:
            # No byte has left and none ever will: that is definite.
            log.exception("message cannot be made", action="refuse", invitation_id=str(row["invitation_id"]))
            return Result(Fate.REFUSED, error.reason if isinstance(error, Poison) else "unrenderable")
        # A process that was paused since its claim holds a permit of another minute, or a lease of another's.
        if waited > self.longest_wait:
            return Result(Fate.REFUSED_FOR_NOW, "permit_expired")
        began = time.time_ns()
        try:
            result = await self.channel.send(message)
        except Exception as error:
            log.exception("channel failed", action="in_doubt", invitation_id=str(row["invitation_id"]))
            result = Result(Fate.IN_DOUBT, type(error).__name__)
        self._trace(row, result, began)
        kind = row["channel"]
        self.breaker.note(kind, result.fate)
        self.metrics.set("kvittera_provider_breaker", int(self.breaker.is_open(kind)), channel=kind)
        return result

    def _trace(self, row: asyncpg.Record, result: Result, began: int) -> None:
        cause = row["traceparent"]
        if self.traces.keeps(cause):
            self.traces.tell(
                "notifier: send",
                parent=cause,
                own=step_of(cause, "send", f"{row['invitation_id']}/{row['attempts']}"),
                started=began,
                ended=time.time_ns(),
                kind="client",
                **{
                    "kvittera.channel": row["channel"],
                    "kvittera.result": result.fate.value,
                    "kvittera.attempt": row["attempts"],
                },
            )


def invitation_of(row: asyncpg.Record, opened: str | None) -> Invitation:
    """What the message is about.

    Raises:
        Poison: the row's secret cannot be opened any more.
    """
    if opened is None:
        raise Poison("unsealable", "the person was erased, or another key sealed it")
    secret = orjson.loads(opened)
    delivery: dict[str, Any] = orjson.loads(row["message"])["delivery"]
    kind = ChannelKind(row["channel"])
    return Invitation(
        reference=str(row["invitation_id"]),
        fence=row["fence"],
        kind=kind,
        address=as_sent(kind, secret["address"]),  # requests of earlier versions were sealed as upstream wrote them
        token=secret["token"],
        language=row["language"],
        merchant_name=delivery.get("merchant_name"),
        occurred_at=row["occurred_at"],
        zone=delivery["zone"],
        occasion=occasion_of(delivery.get("touchpoint", ""), delivery.get("exceptions", ())),
        co_brand=secret.get("co_brand"),
        notice=secret.get("notice") if row["notice"] is None else row["notice"],
        reminder=row["kind"] == "reminder",
    )
