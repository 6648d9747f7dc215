"""Answers into PostgreSQL: one statement for many, and more only for those that ask for more."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import asyncpg

from services.chassis.postgres import Database
from services.survey.answers.masks_kept import MasksKept
from services.survey.answers.recorded import About, OnlyIf, Outcome, Posted, Recorded

_FINGERPRINT, _REVISION = 16, 20
"""Where the parts of `response.tried` end: key and body hash, then the revision in four bytes."""


async def keep(
    connection: Database, sql: Mapping[str, str], posted: Sequence[Posted], masks: MasksKept
) -> dict[bytes, Recorded]:
    """Keep answers, of different links each, in one commit; links that are not in the result are unknown."""
    if any(p.answer.wants_contact is not None for p in posted):
        async with connection.transaction():
            rows = await _record(connection, sql, posted)
            await _keep_contacts(connection, sql, posted, rows, masks)
    else:
        rows = await _record(connection, sql, posted)
    found = {r["token_sha256"]: _recorded(r) for r in rows}
    again = [p for p in posted if p.token_sha256 in found and found[p.token_sha256].outcome is Outcome.REUSED]
    earlier = await _earlier(connection, sql, again) if again else {}
    return found | {token: replace(e, about=found[token].about) for token, e in earlier.items()}


async def keep_alone(
    connection: Database, sql: Mapping[str, str], posted: Posted, only_if: OnlyIf, masks: MasksKept
) -> dict[bytes, Recorded]:
    """Keep an answer in a commit of its own if the state of the answer is the one it was meant for (If-Match)."""
    async with connection.transaction():
        revision = await connection.fetchval(sql["lock_revision"], posted.token_sha256)
        earlier = await _earlier(connection, sql, [posted]) if posted.how.attempt is not None else {}
        if earlier:
            return earlier
        if only_if.holds(revision):
            return await keep(connection, sql, [posted], masks)
        page = await connection.fetchrow(sql["pages_of"], [posted.token_sha256])
    if page is None:
        return {}
    about = About(json.loads(page["delivery"])["delivery_id"], None)
    return {posted.token_sha256: Recorded(Outcome.STALE if page["open"] else Outcome.LOCKED, revision, about)}


async def _record(connection: Database, sql: Mapping[str, str], posted: Sequence[Posted]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(
        sql["record_answers"],
        [p.token_sha256 for p in posted],
        [p.answer.score for p in posted],
        [None if p.answer.reasons is None else ",".join(p.answer.reasons) for p in posted],
        [p.sealed_comment for p in posted],
        [p.answer.contested for p in posted],
        [p.answered_at for p in posted],
        [p.answer.language for p in posted],
        [p.comment_digest for p in posted],
        [json.dumps(p.answer.follow_ups) if p.answer.follow_ups else None for p in posted],
        [p.answer.wants_contact for p in posted],
        [p.channel for p in posted],
        [p.how.suspected_machine for p in posted],
        [p.how.attempt for p in posted],
    )
    return rows


async def _keep_contacts(
    connection: Database,
    sql: Mapping[str, str],
    posted: Sequence[Posted],
    rows: Sequence[asyncpg.Record],
    masks: MasksKept,
) -> None:
    response = {r["token_sha256"]: r["invitation_id"] for r in rows if r["revision"] is not None}
    mine = [p for p in posted if p.token_sha256 in response]
    await masks.keep(connection, [response[p.token_sha256] for p in mine if p.answer.wants_contact is not None])
    wishes = [
        (response[p.token_sha256], p.sealed_contact, p.answer.contact.consent_version, p.answer.language, p.answered_at)
        for p in mine
        if p.answer.contact is not None and p.sealed_contact is not None
    ]
    if wishes:
        await connection.execute(sql["keep_contact_wishes"], *map(list, zip(*wishes, strict=True)))
    taken_back = [response[p.token_sha256] for p in mine if p.answer.wants_contact is False]
    if taken_back:
        await connection.execute(sql["forget_contact_wishes"], taken_back)


def _recorded(row: asyncpg.Record) -> Recorded:
    about = About(row["delivery_id"], row["traceparent"])
    if not row["open"]:
        return Recorded(Outcome.LOCKED, about=about)
    # A row that was known, open and not written: its key came before.
    outcome = Outcome.REUSED if row["revision"] is None else Outcome.KEPT
    return Recorded(outcome, row["revision"], about, first=row["first"] or row["revision"] == 1)


async def _earlier(connection: Database, sql: Mapping[str, str], posted: Sequence[Posted]) -> dict[bytes, Recorded]:
    """What came of the same keys before: the same revision again, or REUSED with another body."""
    rows = await connection.fetch(sql["attempts_of"], [p.token_sha256 for p in posted])
    tried = {r["token_sha256"]: r["tried"] or [] for r in rows}
    found = {}
    for p in posted:
        attempt = p.how.attempt or b""
        for before in tried.get(p.token_sha256, []):
            if before[:8] == attempt[:8]:
                revision = int.from_bytes(before[_FINGERPRINT:_REVISION], "big")
                same = before[:_FINGERPRINT] == attempt
                found[p.token_sha256] = (
                    Recorded(Outcome.KEPT, revision, first=revision == 1) if same else Recorded(Outcome.REUSED)
                )
    return found
