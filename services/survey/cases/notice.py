"""What the recipient's page says about the case that an answer has become. Reads only."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.chassis.postgres import Pool, named_sql
from services.survey.cases.number import number_of
from services.survey.recipient.page_models import CaseNotice


@dataclass(frozen=True, slots=True)
class CaseNotices:
    """Looks up the case of a response, for the page that tells what happens next."""

    pool: Pool
    now: Callable[[], datetime]
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "cases.sql"))

    async def __call__(self, response_id: uuid.UUID, carrier: str) -> CaseNotice | None:
        """Who reads the answer until when; None without a case at work, or when its deadline has passed."""
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(self.sql["notice"], str(response_id), self.now())
        if row is None:
            return None
        reader = f"{carrier}, {row['desk']}" if row["desk"] else carrier
        return CaseNotice(number_of(row["serial"]), reader, row["due_at"], contact_promised=row["wants_contact"])
