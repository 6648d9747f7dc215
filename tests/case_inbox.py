"""The inbox of cases as a browser without script uses it."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from schemas.feedback import FeedbackCase
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.asgi import Reply, ask
from tests.caseload import ANNA, NOW, SECRET, app_of, fill, parts_of

CONTESTED, LATE, DAMAGED, NEIGHBOUR, *_ = range(10)


class Inbox:
    """The inbox as a browser without script uses it."""

    def __init__(self, pool: Pool, settings: Settings, numbers: list[str], now: Any = NOW) -> None:
        self.pool, self.settings, self.numbers, self.metrics = pool, settings, numbers, Metrics()
        self.app = app_of(parts_of(pool, settings, self.metrics, now), self.metrics)

    async def get(self, path: str, who: Any = ANNA) -> Reply:
        return await ask(self.app, "GET", path, headers=[("x-member", who.subject)] if who else [])

    async def post(self, path: str, who: Any = ANNA, *pairs: tuple[str, str], secret: str | None = None) -> Reply:
        given = f"{SECRET} {who.subject}" if secret is None else secret
        body = urlencode([("form_secret", given), *pairs]).encode()
        headers = [("x-member", who.subject), ("content-type", "application/x-www-form-urlencoded")]
        return await ask(self.app, "POST", path, headers=headers, parts=[body])

    async def assign(self, revisions: dict[int, int], owner: str, who: Any = ANNA, **view: str) -> Reply:
        picked = [("case", f"{self.numbers[case]}:{revision}") for case, revision in revisions.items()]
        return await self.post("/cases/assign", who, *picked, ("owner", owner), *view.items())

    async def act(self, case: int, action: str, revision: int = 1, who: Any = ANNA, **fields: Any) -> Reply:
        pairs = [("action", action), ("revision", str(revision)), *fields.items()]
        return await self.post(f"/cases/{self.numbers[case]}", who, *pairs)

    async def told(self, case: int) -> list[FeedbackCase]:
        rows = await self.pool.fetch("SELECT value FROM outbox WHERE topic = 'feedback.case.v1' ORDER BY id")
        events = [FeedbackCase.model_validate_json(r["value"]) for r in rows]
        wanted = f"00000000-0000-0000-0000-{case + 1:012x}"
        return [e for e in events if e.response_id == wanted]


@pytest.fixture
async def inbox(pool: Pool, settings: Settings) -> Inbox:
    return Inbox(pool, settings, await fill(pool, settings))


def listed(reply: Reply) -> list[str]:
    return re.findall(r'<li[^>]* data-number="([^"]+)"', reply.text)


RESOLVED = {"judgement": "late.own", "place": "terminal"}
