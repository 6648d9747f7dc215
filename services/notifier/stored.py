"""A decision as the database keeps it, for who asks why."""

import json

from services.chassis.postgres import Database, named_sql
from services.notifier.explaining import Told


async def stored_decision(connection: Database, delivery_id: str) -> Told | None:
    """The decision about a delivery and what became of its message, or None where nothing was decided."""
    sql = named_sql("services.notifier", "explain.sql")
    row = await connection.fetchrow(sql["decision_to_explain"], delivery_id)
    return None if row is None else Told(**{**dict(row), "evidence": json.loads(row["evidence"])})
