import asyncio
import socket
from contextlib import AsyncExitStack

import asyncpg
import pytest

from services.chassis import postgres
from services.chassis.failures import MustStop
from services.chassis.postgres import check_durability, connect, migrate, open_pool
from services.chassis.settings import Settings
from tests.container_servers import BothServers


async def test_a_database_that_forgets_in_a_crash_is_refused(settings: Settings) -> None:
    careful = settings.model_copy(update={"allow_unsafe_postgres": False})
    with pytest.raises(MustStop, match="fsync=off"):
        await open_pool(careful, "survey")


async def test_synchronous_commit_off_is_refused(settings: Settings) -> None:
    connection = await connect(settings, "survey")
    await connection.execute("SET synchronous_commit = off")
    with pytest.raises(MustStop, match="synchronous_commit=off"):
        await check_durability(connection)
    await connection.close()


async def test_migrating_twice_applies_nothing_the_second_time(servers: BothServers) -> None:
    connection = await asyncpg.connect(servers.postgres.dsn("postgres"))
    applied = await migrate(connection, "twice", "services.survey")
    assert applied[:4] == ["000_chassis.sql", "001_outbox.sql", "002_outbox_waiting.sql", "001_survey.sql"]
    assert applied[3:] == sorted(applied[3:]), "the chassis' files, then the service's own, each in order"
    assert await migrate(connection, "twice", "services.survey") == []
    await connection.execute("DROP SCHEMA twice CASCADE")
    await connection.close()


async def test_a_migration_that_fails_leaves_those_before_it_applied_and_is_begun_again_as_a_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [("001_a.sql", "CREATE TABLE a ()"), ("002_b.sql", "CREATE TABLE b (); SELECT 1 / 0")]
    monkeypatch.setattr(postgres, "migrations", lambda _: files)
    connection = await connect(settings, "half")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection, "half", "services.survey")
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'half' ORDER BY 1")
    assert [t["tablename"] for t in tables] == ["a", "migration"]
    files[1] = ("002_b.sql", "CREATE TABLE b ()")
    assert await migrate(connection, "half", "services.survey") == ["002_b.sql"]
    await connection.close()


async def test_of_two_migrations_at_once_one_waits_and_finds_everything_done(settings: Settings) -> None:
    connections = [await connect(settings, "both") for _ in range(2)]
    applied = await asyncio.gather(*(migrate(c, "both", "services.notifier") for c in connections))
    fewest, most = sorted(map(len, applied))
    assert fewest == 0
    assert most > 10
    for connection in connections:
        await connection.close()


async def test_a_migration_that_changed_after_it_was_applied_stops_the_start(settings: Settings) -> None:
    connection = await connect(settings, "survey")
    await connection.execute("UPDATE migration SET sha256 = 'other' WHERE name = '001_survey.sql'")
    with pytest.raises(MustStop, match=r"survey/001_survey\.sql was applied before and has changed"):
        await migrate(connection, "survey", "services.survey")
    await connection.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has other options")
@pytest.mark.parametrize("pooled", [True, False])
async def test_the_kernel_ends_a_connection_of_which_nothing_is_heard_for_half_a_minute(
    settings: Settings, pooled: bool
) -> None:
    async with AsyncExitStack() as stack:
        if pooled:
            pool = await open_pool(settings, "notifier")
            stack.callback(pool.terminate)
            connection = getattr(await stack.enter_async_context(pool.acquire()), "_con")  # noqa: B009 - not in its types
        else:
            connection = await connect(settings, "notifier")
            stack.push_async_callback(connection.close)
        found = connection._transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        first, every, looks, untaken = (
            found.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        )
    assert (first + every * looks, untaken) == (30, 30_000)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has other options")
async def test_postgresql_lets_go_within_half_a_minute_of_what_a_client_holds_of_which_it_hears_nothing(
    settings: Settings,
) -> None:
    connection = await connect(settings, "notifier")
    idle, interval, count, untaken = [
        await connection.fetchval(f"SHOW tcp_{name}")
        for name in ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
    ]
    assert (int(idle) + int(interval) * int(count), untaken) == (30, "30000")
    await connection.close()
