"""Each person has a key of their own; without it nothing of theirs can be read, and a tombstone keeps it so (D21)."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from pydantic import SecretStr

from services.chassis.failures import MustStop, Poison
from services.chassis.known_keys import check_keys, wrong_keys
from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.cli.erase import _erase
from services.cli.keys import _rotate
from services.notifier import app as notifier
from services.survey import app as survey
from tests.builders import NOON
from tests.tables import empty_pool

pytestmark = pytest.mark.service("notifier")

OLD, NEW = bytes.fromhex("5e" * 32), bytes.fromhex("5f" * 32)
ASTRID, BO = b"a" * 16, b"b" * 16


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def close(pool: Pool, keys: PersonKeys, person: bytes, text: str) -> bytes:
    async with pool.acquire() as connection, connection.transaction():
        known = await keys.look_up(connection, [person])
        return (await keys.for_closing(connection, known.values()))[person].close(text, "row")


async def opened(pool: Pool, keys: PersonKeys, *things: tuple[bytes | None, bytes | None]) -> list[str | None]:
    async with pool.acquire() as connection:
        return await keys.open_all(connection, [Sealed(person, sealed, "row") for person, sealed in things])


async def destroy(pool: Pool, keys: PersonKeys, person: bytes, hours: int = 0) -> bool:
    async with pool.acquire() as connection:
        return await keys.destroy(connection, person, NOON + timedelta(hours=hours))


async def test_each_person_has_a_key_of_their_own(pool: Pool) -> None:
    keys = PersonKeys(Seal(OLD))
    hers, his = await close(pool, keys, ASTRID, "hers"), await close(pool, keys, BO, "his")
    assert await opened(pool, keys, (ASTRID, hers), (BO, his), (BO, hers)) == ["hers", "his", None]
    with pytest.raises(Poison, match="unsealable"):
        Seal(OLD).open(hers, "row")


async def test_what_is_missing_or_shut_beside_it_keeps_nothing_from_opening(pool: Pool) -> None:
    keys = PersonKeys(Seal(OLD))
    hers, his = await close(pool, keys, ASTRID, "hers"), await close(pool, keys, BO, "his")
    assert await opened(pool, keys, (BO, his)) == ["his"]  # and his key is remembered
    assert await opened(pool, keys, (ASTRID, hers), (BO, his), (ASTRID, None), (BO, None)) == [
        "hers",
        "his",
        None,
        None,
    ]
    keys.forget(ASTRID)
    assert await opened(pool, keys, (ASTRID, hers), (BO, hers)) == ["hers", None]


async def test_what_no_person_is_known_of_is_sealed_by_the_installation(pool: Pool) -> None:
    seal = Seal(OLD)
    assert await opened(pool, PersonKeys(seal), (None, seal.close("a kiosk", "row"))) == ["a kiosk"]


async def test_a_destroyed_key_takes_with_it_what_it_sealed_and_nothing_else(pool: Pool) -> None:
    keys = PersonKeys(Seal(OLD))
    hers, his = await close(pool, keys, ASTRID, "hers"), await close(pool, keys, BO, "his")
    assert await destroy(pool, keys, ASTRID)
    assert await opened(pool, keys, (ASTRID, hers), (BO, his)) == [None, "his"]
    row = await pool.fetchrow("SELECT wrapped, erased_at FROM person_key WHERE person = $1", ASTRID)
    assert row is not None
    assert tuple(row) == (None, NOON)


async def test_an_erasure_in_another_process_is_seen_within_half_a_minute(pool: Pool) -> None:
    clock = Clock()
    here, elsewhere = PersonKeys(Seal(OLD), clock), PersonKeys(Seal(OLD))
    hers = await close(pool, here, ASTRID, "hers")
    assert await opened(pool, here, (ASTRID, hers)) == ["hers"]
    await destroy(pool, elsewhere, ASTRID)
    clock.now = 30.5
    assert await opened(pool, here, (ASTRID, hers)) == [None]


async def test_a_new_relation_gets_a_new_key_that_an_old_erasure_told_again_does_not_take(pool: Pool) -> None:
    keys, reader = PersonKeys(Seal(OLD)), PersonKeys(Seal(OLD))
    before = await close(pool, keys, ASTRID, "before")
    assert await opened(pool, reader, (ASTRID, before)) == ["before"]
    await destroy(pool, keys, ASTRID)
    after = await close(pool, keys, ASTRID, "after")
    # The reader still remembers the old key, and looks again.
    assert await opened(pool, reader, (ASTRID, before), (ASTRID, after)) == [None, "after"]
    assert not await destroy(pool, keys, ASTRID)
    assert not await destroy(pool, keys, ASTRID, hours=-1)
    assert await opened(pool, keys, (ASTRID, after)) == ["after"]
    assert await destroy(pool, keys, ASTRID, hours=1)
    assert await opened(pool, keys, (ASTRID, after)) == [None]


async def test_who_is_erased_between_look_up_and_sealing_gets_no_new_key(pool: Pool) -> None:
    keys = PersonKeys(Seal(OLD))
    async with pool.acquire() as connection:
        known = await keys.look_up(connection, [ASTRID])
        await destroy(pool, keys, ASTRID)
        assert await keys.for_closing(connection, known.values()) == {}


async def test_keys_change_hands_to_a_new_installation_key_without_touching_data(pool: Pool) -> None:
    hers = await close(pool, PersonKeys(Seal(OLD)), ASTRID, "hers")
    changed = PersonKeys(Seal(NEW, OLD))
    assert changed.seal.pseudonym("sms:+46701740634") == Seal(OLD).pseudonym("sms:+46701740634")
    assert await opened(pool, changed, (ASTRID, hers)) == ["hers"]
    async with pool.acquire() as connection, connection.transaction():
        assert await changed.rewrap(connection) == 1
        assert await changed.rewrap(connection) == 0
    assert await opened(pool, PersonKeys(Seal(NEW)), (ASTRID, hers)) == ["hers"]
    with pytest.raises(Poison, match="unsealable"):
        await opened(pool, PersonKeys(Seal(OLD)), (ASTRID, hers))


async def test_keys_that_nothing_at_hand_opens_stop_the_command_with_what_to_set(
    pool: Pool, settings: Settings
) -> None:
    await close(pool, PersonKeys(Seal(OLD)), ASTRID, "hers")
    forgotten = settings.model_copy(update={"sealing_key": SecretStr(NEW.hex())})
    with pytest.raises(MustStop, match="not at hand: add it to KVITTERA_SEALING_KEYS_BEFORE"):
        await _rotate(forgotten, "notifier")


async def test_a_key_moved_to_another_person_does_not_open(pool: Pool) -> None:
    keys = PersonKeys(Seal(OLD))
    hers = await close(pool, keys, ASTRID, "hers")
    await close(pool, keys, BO, "his")
    await pool.execute(
        "UPDATE person_key SET wrapped = (SELECT wrapped FROM person_key WHERE person = $1) WHERE person = $2",
        ASTRID,
        BO,
    )
    with pytest.raises(Poison, match="unsealable"):
        await opened(pool, keys, (BO, hers))


async def test_keys_of_another_installation_are_refused_before_anything_runs(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await check_keys(connection, "notifier", Seal(OLD))
    await close(pool, PersonKeys(Seal(OLD)), ASTRID, "hers")
    async with pool.acquire() as connection:
        await check_keys(connection, "notifier", Seal(OLD))
        for _ in range(2):  # a start that is refused leaves nothing behind that lets the next one in
            with pytest.raises(MustStop, match=r"tables of the notifier hold what KVITTERA_SEALING_KEY and .* do not"):
                await check_keys(connection, "notifier", Seal(NEW))


async def test_a_change_of_keys_is_let_in_with_the_old_one_and_after_it_only_with_the_old_one(pool: Pool) -> None:
    await close(pool, PersonKeys(Seal(OLD)), ASTRID, "hers")
    changed = Seal(NEW, OLD)
    async with pool.acquire() as connection:
        await check_keys(connection, "notifier", Seal(OLD))
        await check_keys(connection, "notifier", changed)
        async with connection.transaction():
            assert await PersonKeys(changed).rewrap(connection) == 1
        await check_keys(connection, "notifier", changed)
        with pytest.raises(MustStop, match="by pseudonyms of another key: the oldest key of this installation must"):
            await check_keys(connection, "notifier", Seal(NEW))


async def test_one_key_among_many_persons_that_is_not_at_hand_is_found(pool: Pool) -> None:
    for n, seal in enumerate([Seal(OLD), Seal(NEW, OLD), Seal(b"7" * 32, OLD)] * 20):
        await close(pool, PersonKeys(seal), bytes([n]) * 16, "theirs")
    async with pool.acquire() as connection:
        assert await wrong_keys(connection, "notifier", Seal(b"7" * 32, NEW, OLD)) is None
        for keys in ((NEW, OLD), (b"7" * 32, OLD), (b"7" * 32, NEW)):
            assert "do not open" in str(await wrong_keys(connection, "notifier", Seal(*keys)))


async def test_as_long_as_nobody_is_known_any_key_will_do(pool: Pool) -> None:
    async with pool.acquire() as connection:
        for key in (OLD, NEW, OLD):
            await check_keys(connection, "notifier", Seal(key))


@pytest.mark.parametrize(("service", "run"), [("notifier", notifier.run), ("survey", survey.run)])
async def test_a_service_with_another_key_than_its_tables_does_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, service: str, run: Callable[[Settings], Awaitable[None]]
) -> None:
    for module in (notifier, survey):
        monkeypatch.setattr(module, "configure_logs", lambda *_: None)
    async with empty_pool(settings, service) as pool:
        await close(pool, PersonKeys(Seal(OLD)), ASTRID, "hers")
    with pytest.raises(MustStop, match=rf"^the tables of the {service} hold what KVITTERA_SEALING_KEY"):
        await run(settings.model_copy(update={"sealing_key": SecretStr(NEW.hex())}))


async def test_nobody_is_erased_by_the_pseudonym_of_another_key(settings: Settings) -> None:
    async with empty_pool(settings, "notifier") as pool:
        await close(pool, PersonKeys(Seal(OLD)), ASTRID, "hers")
    other = settings.model_copy(update={"sealing_key": SecretStr(NEW.hex())})
    with pytest.raises(MustStop, match="KVITTERA_SEALING_KEYS_BEFORE do not open"):
        await _erase(other, [ASTRID])
