"""What is looked at in the tables of a running system: what must never be, and what is still on its way."""

from dataclasses import dataclass

from services.aggregator.cells.rows import Cells
from services.chassis.postgres import OwnConnection, connect
from services.chassis.settings import Settings

_DECIDED_OTHERWISE_THAN_PLANNED = """
SELECT count(*) FROM decision AS d FULL JOIN invitation AS i USING (delivery_id, kind)
WHERE kind = 'ask' AND (d.outcome IS NOT DISTINCT FROM 'scheduled') IS DISTINCT FROM (i.invitation_id IS NOT NULL)
"""
_LEDGER = """
SELECT (SELECT count(*) FROM decision) AS delivered,
       (SELECT count(*) FROM decision WHERE outcome = 'suppressed') AS suppressed,
       count(*) FILTER (WHERE state IN ('planned', 'claimed', 'calling', 'in_doubt')) AS pending,
       count(*) FILTER (WHERE state = 'accepted') AS asked,
       count(*) FILTER (WHERE state IN ('refused', 'unknown', 'withheld')) AS other
FROM invitation WHERE kind = 'ask'
"""
_ASKED_BUT_UNKNOWN = """
SELECT i.delivery_id FROM invitation AS i LEFT JOIN survey.invitation AS s USING (invitation_id)
WHERE i.kind = 'ask' AND s.invitation_id IS NULL LIMIT 5
"""
_DEAD_LINKS = """
SELECT count(*) FROM viewer_message AS m JOIN invitation AS i ON i.invitation_id = m.reference::uuid
WHERE NOT EXISTS (SELECT 1 FROM survey.invitation AS s WHERE s.token_sha256 = i.token_sha256)
"""
_WAITING = """
SELECT service, topic, count(*) FROM (
    SELECT 'notifier' AS service, topic FROM notifier.outbox JOIN notifier.outbox_waiting USING (shard, id)
    UNION ALL SELECT 'survey', topic FROM survey.outbox JOIN survey.outbox_waiting USING (shard, id)
    UNION ALL SELECT 'aggregator', topic FROM aggregator.outbox JOIN aggregator.outbox_waiting USING (shard, id)
    UNION ALL SELECT 'aggregator', 'touched cells' FROM aggregator.touched
) AS w GROUP BY service, topic
"""


async def wrong_counters(aggregator: OwnConnection) -> list[str]:
    """Counters that differ from their fold, in words."""
    async with aggregator.transaction(isolation="repeatable_read", readonly=True):
        differing = await Cells().audit(aggregator)
    return [f"{d.cut} {d.value}: counted {d.counted}, should be {d.expected}" for d in differing[:3]]


async def wrong_requests(notifier: OwnConnection) -> list[str]:
    """Gaps in the ledger of requests, and decisions without what they decided, in words."""
    wrong = []
    ledger = await _ledger(notifier)
    if gap := ledger["delivered"] - ledger["suppressed"] - ledger["pending"] - ledger["asked"] - ledger["other"]:
        wrong.append(f"the ledger has a gap of {gap}")
    if lone := await notifier.fetchval(_DECIDED_OTHERWISE_THAN_PLANNED):
        wrong.append(f"{lone} decisions without their invitation, or the other way round")
    return wrong


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """How far deliveries, messages and rows of outboxes have come.

    Attributes:
        ledger: requests by what became of them.
        messages: how many recipients got in all.
        waiting: rows that were not sent yet, by service and topic.
    """

    ledger: dict[str, int]
    messages: int
    waiting: list[tuple[str, str, int]]


async def on_its_way(settings: Settings) -> OnItsWay:
    notifier = await connect(settings, "notifier")
    try:
        messages = await notifier.fetchval("SELECT count(*) FROM viewer_message")
        waiting = [(r[0], r[1], r[2]) for r in await notifier.fetch(_WAITING)]
        return OnItsWay(await _ledger(notifier), messages, waiting)
    finally:
        await notifier.close()


async def lost_links(settings: Settings) -> str:
    """Links of messages that the survey does not know, and whose requests these are, in words."""
    notifier = await connect(settings, "notifier")
    try:
        dead, unknown = await notifier.fetchval(_DEAD_LINKS), await notifier.fetch(_ASKED_BUT_UNKNOWN)
    finally:
        await notifier.close()
    return f"{dead} dead links, unknown to the survey {[r['delivery_id'] for r in unknown]}"


async def _ledger(notifier: OwnConnection) -> dict[str, int]:
    row = await notifier.fetchrow(_LEDGER)
    assert row is not None
    return dict(row)
