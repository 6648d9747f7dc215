"""What is kept of a month of requests that goes: how many ended how, and nothing while one of them is open."""

from datetime import UTC, datetime
from uuid import UUID

from services.chassis.ids import first_of
from services.chassis.month_bounds import midnight
from services.chassis.months import Part
from services.chassis.postgres import Database, named_sql

_COUNTING_SECONDS = 6 * 3600.0
_EVER = datetime.min.replace(tzinfo=UTC)


async def let_go(connection: Database, part: Part) -> bool:
    """Keep the sums of a month that is to be dropped; returns False where a request in it is not settled.

    Nobody else settles or opens anything in such a month: new requests have the ids of their day.
    """
    if part.ends is None:
        return False
    sql = named_sql("services.notifier", "months.sql")
    first = UUID(int=0) if part.starts is None else first_of(midnight(part.starts))
    starts = _EVER if part.starts is None else midnight(part.starts)
    ids = (first, first_of(midnight(part.ends)))
    if await connection.fetchval(sql["open_requests"], *ids):
        return False
    await connection.execute(sql["keep_sums"], part.name, *ids, starts, midnight(part.ends), timeout=_COUNTING_SECONDS)
    return True
