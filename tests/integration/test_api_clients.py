"""Keys of programs as they are stored, and the commands that make, show and end them (security row 25)."""

import asyncio
import os
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.chassis.keys import Key
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.cli import app
from services.survey.api.clients import Clients
from services.survey.api.keys import Scope
from tests.builders import NOON
from tests.tables import everything_stored

pytestmark = pytest.mark.service("survey")

YEAR = timedelta(days=365)


async def add(pool: Pool, **changed: Any) -> Key:
    plain: dict[str, Any] = {
        "name": "app",
        "scopes": frozenset({Scope.WRITE}),
        "place": None,
        "now": NOON,
        "expires_at": NOON + YEAR,
    }
    async with pool.acquire() as connection:
        return await Clients().add(connection, **{**plain, **changed})


async def test_a_secret_is_stored_nowhere(pool: Pool) -> None:
    key = await add(pool)
    kept = await everything_stored(pool)
    assert key.prefix in kept
    assert key.secret_sha256.hex() in kept
    assert key.secret not in kept


async def test_only_the_whole_right_key_opens(pool: Pool) -> None:
    key, other = await add(pool), await add(pool, name="other")
    async with pool.acquire() as c:
        client = await Clients().holding(c, key.text, NOON)
        assert client is not None
        assert (client.name, client.may(Scope.WRITE), client.may(Scope.READ)) == ("app", True, False)
        swapped = Key(key.prefix, other.secret)
        unknown = Key("a" * 10, key.secret)
        for wrong in (swapped.text, unknown.text, key.secret, key.text[:-1], key.text + "A", ""):
            assert await Clients().holding(c, wrong, NOON) is None


async def test_a_key_ends_by_itself_or_by_hand(pool: Pool) -> None:
    key = await add(pool)
    async with pool.acquire() as c:
        assert await Clients().holding(c, key.text, NOON + YEAR - timedelta(seconds=1)) is not None
        assert await Clients().holding(c, key.text, NOON + YEAR) is None
        assert await Clients().revoke(c, key.prefix, NOON)
        assert await Clients().holding(c, key.text, NOON) is None
        assert await Clients().revoke(c, key.prefix, NOON + YEAR)
        [client] = await Clients().all(c)
        assert client.revoked_at == NOON
        assert not await Clients().revoke(c, "nobody", NOON)


async def run(settings: Settings, *words: str) -> Result:
    environment = {**os.environ, "KVITTERA_POSTGRES_DSN": settings.postgres_dsn.get_secret_value(), "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, app, ["clients", *words], env=environment)


@pytest.mark.usefixtures("pool")
async def test_keys_are_made_shown_and_ended_on_the_command_line(settings: Settings) -> None:
    made = await run(settings, "add", "app-ios", "--scope", "responses:write", "--days", "30")
    assert made.exit_code == 0, made.stderr
    key = made.stdout.strip()
    prefix = key.split("_")[1]
    assert "cannot be shown again" in made.stderr
    listed = await run(settings, "list")
    assert f"kv_{prefix}  valid" in listed.stdout
    assert "app-ios" in listed.stdout
    assert key not in listed.stdout
    assert (await run(settings, "revoke", f"kv_{prefix}")).stdout == f"kv_{prefix} is revoked\n"
    assert f"kv_{prefix}  revoked" in (await run(settings, "list")).stdout
    assert (await run(settings, "revoke", "nobody")).exit_code == 1
