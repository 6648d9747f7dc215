"""People to ask, what they post, and whether what was acknowledged to them is on disk."""

import base64
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from services.chassis.sealing import Seal
from services.survey.answers.responses import token_hash
from tests.benchmarks.load import Reply
from tests.benchmarks.system import SEALING_KEY

DELIVERY = (
    '{"delivery_id":"D-1","carrier":"Nordposten Demo","merchant_id":"fjallbod","merchant_name":"Fjällbod",'
    '"terminal":"Årsta","route":"Rutt 14","driver":"driver-14","country":"SE","postcode_prefix":"12",'
    '"method":"home_day","occurred_at":"2026-11-22T10:00:00+00:00","zone":"Europe/Stockholm"}'
)
_KEPT = """
SELECT count(*) FROM unnest($1::uuid[]) AS asked (id)
WHERE EXISTS (SELECT FROM response WHERE response_id = asked.id)
  AND EXISTS (SELECT FROM outbox WHERE key = convert_to(asked.id::text, 'UTF8') AND topic = 'response.recorded.v1')
"""


@dataclass(frozen=True, slots=True)
class Invited:
    """Tokens and the ids of their invitations."""

    tokens: list[str]
    ids: list[uuid.UUID]

    def taps(self, sealing_key: str = SEALING_KEY) -> list[bytes]:
        """The first tap of each, as the page's script posts it."""
        seal = Seal(bytes.fromhex(sealing_key))
        return [_tap(token, seal) for token in self.tokens]

    def looks(self) -> list[bytes]:
        """Each asks for the page."""
        return [f"GET /r/{token} HTTP/1.1\r\nhost: x\r\naccept-language: sv\r\n\r\n".encode() for token in self.tokens]


async def invite(connection: asyncpg.Connection, count: int) -> Invited:
    """Make invitations as the survey keeps them."""
    tokens = [base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode() for _ in range(count)]
    ids = [uuid.uuid4() for _ in tokens]
    expires = datetime.now(UTC) + timedelta(days=1)
    await connection.copy_records_to_table(
        "invitation",
        records=[
            (token_hash(t), i, expires, "sms", "sv", "home.v1", "Nordposten Demo", DELIVERY)
            for t, i in zip(tokens, ids, strict=True)
        ],
        columns=["token_sha256", "invitation_id", "expires_at", "channel", "language", "survey", "brand", "delivery"],
    )
    await connection.execute("ANALYZE invitation")
    return Invited(tokens, ids)


async def check_kept(connection: asyncpg.Connection, invited: Invited, replies: Iterable[Reply]) -> int:
    """How many were acknowledged; fails unless each has its response and its outbox row."""
    acknowledged = [invited.ids[r.number] for r in replies if r.status == 200]
    kept = await count_kept(connection, acknowledged)
    assert kept == len(acknowledged), f"{len(acknowledged) - kept} acknowledged answers are missing"
    return len(acknowledged)


async def count_kept(connection: asyncpg.Connection, ids: list[uuid.UUID]) -> int:
    """How many of these answers are in both tables."""
    await connection.execute("CREATE INDEX bench_outbox_key ON outbox (key)")
    kept: int = await connection.fetchval(_KEPT, ids)
    await connection.execute("DROP INDEX bench_outbox_key")
    return kept


async def forget_all(connection: asyncpg.Connection) -> None:
    """Empty tables for the next round."""
    await connection.execute("TRUNCATE response, invitation; TRUNCATE outbox, outbox_waiting")


def _tap(token: str, seal: Seal) -> bytes:
    nonce = base64.urlsafe_b64encode(seal.pseudonym(f"page {token}")[:12]).decode()
    body = f"nonce={nonce}&lang=sv&score=4".encode()
    head = (
        f"POST /r/{token} HTTP/1.1\r\nhost: x\r\naccept: application/json\r\nidempotency-key: {token[:12]}-1\r\n"
        f"content-type: application/x-www-form-urlencoded;charset=UTF-8\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
