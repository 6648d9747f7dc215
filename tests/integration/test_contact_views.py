"""Who looked at contact data stays known."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.chassis.staff import EVERYWHERE, Member, Role
from services.survey.privacy.contact_views import record_view, views
from tests.kvittera import kvittera

pytestmark = pytest.mark.service("survey")

ANNA = Member("s-1", "Anna Lund", {EVERYWHERE: Role.AGENT})
BO = Member("s-2", "Bo Ek", {EVERYWHERE: Role.LEAD})
ONE, OTHER = UUID(int=1), UUID(int=2)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_each_view_is_told_with_who_whose_and_why_newest_first(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await record_view(connection, ANNA, ONE, "case K-1")
        await record_view(connection, BO, ONE, "case K-1")
        await record_view(connection, ANNA, OTHER, "case K-2")
        found = await views(connection, LONG_AGO)
        assert [(v.subject, v.member, v.response_id, v.reason) for v in found] == [
            ("s-1", "Anna Lund", OTHER, "case K-2"),
            ("s-2", "Bo Ek", ONE, "case K-1"),
            ("s-1", "Anna Lund", ONE, "case K-1"),
        ]
        assert [v.member for v in await views(connection, LONG_AGO, subject="s-2")] == ["Bo Ek"]
        assert [v.member for v in await views(connection, LONG_AGO, response_id=ONE)] == ["Bo Ek", "Anna Lund"]
        assert len(await views(connection, LONG_AGO, limit=1)) == 1
        assert await views(connection, found[0].viewed_at + timedelta(seconds=1)) == []


async def test_a_view_without_a_reason_is_refused(pool: Pool) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await record_view(connection, ANNA, ONE, "")


async def test_the_command_prints_the_views(pool: Pool, settings: Settings, tmp_path: Path) -> None:
    async with pool.acquire() as connection:
        await record_view(connection, ANNA, ONE, "case K-1")
    dsn = settings.postgres_dsn.get_secret_value()
    done = kvittera(tmp_path, "views", "--days", "1", KVITTERA_POSTGRES_DSN=dsn)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["subject"], told["member"], told["response_id"], told["reason"]) == (
        "s-1",
        "Anna Lund",
        str(ONE),
        "case K-1",
    )


async def test_the_command_says_that_there_are_more_views_than_it_prints(
    pool: Pool, settings: Settings, tmp_path: Path
) -> None:
    async with pool.acquire() as connection:
        for member in (ANNA, BO):
            await record_view(connection, member, ONE, "case K-1")
    dsn = settings.postgres_dsn.get_secret_value()
    some, all_of_them = (kvittera(tmp_path, "views", "--limit", n, KVITTERA_POSTGRES_DSN=dsn) for n in ("1", "2"))
    assert [json.loads(line)["member"] for line in some.stdout.splitlines()] == ["Bo Ek"]
    assert some.stderr == "there are more views than 1: raise --limit, or ask for fewer --days\n"
    assert (len(all_of_them.stdout.splitlines()), all_of_them.stderr) == (2, "")
