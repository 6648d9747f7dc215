"""Requests that must have their effect once: the same key with the same body gets the first reply again."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from services.chassis.http import json_response
from services.chassis.postgres import Pool, named_sql
from services.survey.api.problems import Problem


@dataclass(frozen=True, slots=True)
class Reply:
    """What a program gets when all went well: kept for repeated requests, so it holds no personal data."""

    status: HTTPStatus
    body: Mapping[str, Any]
    etag: str | None = None

    def response(self) -> Response:
        """The HTTP response."""
        headers = {"cache-control": "no-store", **({"etag": self.etag} if self.etag else {})}
        return json_response(self.body, self.status, headers)


@dataclass(frozen=True, slots=True)
class Once:
    """Remembers replies for a day."""

    pool: Pool
    now: Callable[[], datetime]
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "api.sql"))

    async def run(self, owner: str, key: str | None, body_sha256: bytes, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """Do the work, or repeat the reply of the first time; without a key it is always done.

        Work that fails is forgotten, so that it can be tried again. Work whose process died is free again after a
        minute, and all work after a day: it must know by itself what it did before with this key, in the commit of
        its effect.

        Raises:
            Problem: 422 for a key that came with another body before, 409 while the first request still runs.
        """
        if key is None:
            return await work()
        if (known := await self._take(owner, key, body_sha256)) is not None:
            return known
        try:
            reply = await work()
            kept = json.dumps({"status": reply.status, "body": dict(reply.body), "etag": reply.etag})
            await self.pool.execute(self.sql["keep_reply"], owner, key, kept)
        except BaseException:
            await self.pool.execute(self.sql["forget_request"], owner, key)
            raise
        return reply

    async def _take(self, owner: str, key: str, body_sha256: bytes) -> Reply | None:
        async with self.pool.acquire() as connection:
            await connection.execute(self.sql["forget_old_requests"], self.now())
            if await connection.fetchval(self.sql["take_request"], owner, key, body_sha256, self.now()):
                return None
            row = await connection.fetchrow(self.sql["request_taken"], owner, key)
        if row is not None and row["body_sha256"] != body_sha256:
            raise key_reused()
        if row is None or row["reply"] is None:
            raise Problem(
                HTTPStatus.CONFLICT, "The first request with this key still runs", headers={"retry-after": "2"}
            )
        kept = json.loads(row["reply"])
        return Reply(HTTPStatus(kept["status"]), kept["body"], kept["etag"])


def key_reused() -> Problem:
    """422: the key came with another body before."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "This key came with another body before; use a new one")
