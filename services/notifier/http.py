"""The notifier over HTTP: the outbox viewer and "why was this delivery not asked about"."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.http import json_response, problem
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, named_sql
from services.chassis.sealing import Seal
from services.notifier.ledger import read_ledger
from services.notifier.viewer_messages import latest_messages, messages_after

_MOST = 1000
_LAST_ID = 2**63 - 1


def routes(pool: Pool, seal: Seal) -> list[Route]:
    """Routes of the outbox viewer (JSON), of decisions and of the ledger."""
    told = _Told(pool, PersonKeys(seal))
    return [
        Route("/outbox/messages", told.messages),
        Route("/decisions/{delivery_id:str}", told.decision),
        Route("/ledger", told.ledger),
    ]


@dataclass(frozen=True, slots=True)
class _Told:
    """What staff and demos ask for, from the tables."""

    pool: Pool
    persons: PersonKeys
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.notifier"))

    async def messages(self, request: Request) -> Response:
        """Messages of the viewer: those after a number, oldest first, or else the latest."""
        try:
            after = min(_LAST_ID, int(request.query_params.get("after", "-1")))
            limit = max(0, min(_MOST, int(request.query_params.get("limit", "100"))))
        except ValueError:
            return problem(400, "after and limit are whole numbers")
        async with self.pool.acquire() as connection:
            if after >= 0:
                found = await messages_after(connection, self.persons, after, limit)
            else:
                found = await latest_messages(connection, self.persons, limit)
        return json_response({"messages": found}, headers={"cache-control": "no-store"})

    async def decision(self, request: Request) -> Response:
        """What was decided about a delivery, and why."""
        delivery_id = request.path_params["delivery_id"]
        if "\x00" in delivery_id:  # PostgreSQL holds no such text
            return problem(404, "No decision about this delivery")
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql["decision_of"], delivery_id)
        if row is None:
            return problem(404, "No decision about this delivery", "It may not have arrived yet.")
        return json_response(
            {
                **dict(row),
                "evidence": json.loads(row["evidence"]),
                "decided_at": row["decided_at"].isoformat(),
                "settled_at": row["settled_at"].isoformat() if row["settled_at"] else None,
            }
        )

    async def ledger(self, _: Request) -> Response:
        """What became of all deliveries, in numbers."""
        async with self.pool.acquire() as connection:
            counted = await read_ledger(connection)
        return json_response({**counted.sides, "in_doubt": counted.in_doubt, "suppressed_by_reason": counted.reasons})
