"""Counting complaints: the last revision of each follow-up case, read from `feedback.case.v1` behind a fence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from schemas.feedback import CaseState, FeedbackCase, Nature
from schemas.topics import CARDS, FEEDBACK_CASE
from services.chassis.failures import Poison
from services.chassis.fence import Fence
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.records import Received, reading

_GROUP: Final = "kvittera-aggregator-complaints"
_FIRST_YEAR: Final = 1970


@dataclass(frozen=True, slots=True)
class KeepComplaints:
    """Keeps what a batch tells of cases, inside the fence's transaction; an older revision changes nothing."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "complaints.sql"))

    async def __call__(self, connection: Database, told: Sequence[Received[FeedbackCase]]) -> None:
        """Keep them."""
        latest: dict[str, FeedbackCase] = {}
        for case in (received.message for received in told):
            if case.case_id not in latest or latest[case.case_id].revision < case.revision:
                latest[case.case_id] = case
        cases = [latest[name] for name in sorted(latest)]
        await connection.execute(
            self.sql["keep_complaints"],
            [c.case_id for c in cases],
            [c.revision for c in cases],
            [month_of_delivery(c) for c in cases],
            [c.cause for c in cases],
            [c.attribution for c in cases],
            [c.nature == Nature.VIEWPOINT for c in cases],
            [c.delivery.terminal for c in cases],
            [c.state != CaseState.RESOLVED for c in cases],
        )


def month_of_delivery(case: FeedbackCase) -> int:
    """The month that a case counts in: that of its delivery, on the clock there, as its answers are counted.

    Raises:
        Poison: there is no such zone.
    """
    try:
        local = case.delivery.occurred_at.astimezone(ZoneInfo(case.delivery.zone))
    except (KeyError, ValueError, OSError):
        raise Poison("schema", "the zone is not known") from None
    return max(0, 12 * (local.year - _FIRST_YEAR) + local.month - 1)


def complaints_fence(pool: Pool, service: str, metrics: Metrics) -> Fence[Received[FeedbackCase]]:
    """The fence of the topic of cases, apart from that of answers: neither waits for the other."""
    return Fence(
        pool=pool,
        service=service,
        group=_GROUP,
        decode=reading(FeedbackCase, _GROUP),
        apply=KeepComplaints(),
        dead_letter_topics={FEEDBACK_CASE: str(CARDS[FEEDBACK_CASE].dead_letter)},
        metrics=metrics,
    )
