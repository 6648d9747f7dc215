"""Counting complaints: the last revision of each follow-up case, read from `feedback.case.v1` behind a fence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from schemas.feedback import CaseState, FeedbackCase, Nature
from schemas.topics import FEEDBACK_CASE
from services.chassis.consumer import Reader
from services.chassis.failures import Poison
from services.chassis.postgres import Database, named_sql
from services.chassis.records import Received, last_revisions
from services.chassis.subscriptions import Subscriptions

GROUP: Final = "kvittera-aggregator-complaints"
"""The consumer group."""
_FIRST_YEAR: Final = 1970


@dataclass(frozen=True, slots=True)
class KeepComplaints:
    """Keeps what a batch tells of cases, inside the fence's transaction; an older revision changes nothing."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "complaints.sql"))

    async def __call__(self, connection: Database, told: Sequence[Received[FeedbackCase]]) -> None:
        """Keep them."""
        cases = last_revisions((received.message for received in told), lambda c: c.case_id)
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


def complaints_reader(subscriptions: Subscriptions) -> Reader[Received[FeedbackCase]]:
    """The reader of the topic of cases, apart from that of answers: neither waits for the other."""
    return subscriptions.reader(FEEDBACK_CASE, GROUP, FeedbackCase, KeepComplaints())
