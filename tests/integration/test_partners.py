"""Partners: what is published to them at each moment, kept in a table, sent to their topic, and served by key."""

import asyncio
import os
import sys
import uuid
from asyncio.subprocess import PIPE
from datetime import datetime, timedelta
from typing import cast

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownTopicOrPartitionError
from starlette.applications import Starlette

from schemas.cloudevents import Event, decode
from schemas.partners import PartnerCell, partner_card, partner_topic
from services.aggregator.counting.cuts import load_cuts
from services.aggregator.partners.http import routes
from services.aggregator.partners.moments import Publication
from services.aggregator.partners.partners import Partners
from services.aggregator.partners.publishing import PartnerPublisher
from services.chassis.failures import MustStop, TryAgain
from services.chassis.http import make_app
from services.chassis.kafka import make_producer
from services.chassis.metrics import Metrics
from services.chassis.postgres import Database, Pool, connect
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import topic_partitions
from tests.asgi import ask
from tests.partner_views import FIRST, GROUP, HOME, REGISTERED, TOTAL, count, publish, register, seen, view

pytestmark = pytest.mark.service("aggregator")


@pytest.fixture(autouse=True)
def no_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.aggregator.partners.moments.is_held", lambda *_: False)


async def first(_: Database) -> datetime:
    return FIRST


async def test_a_cell_appears_with_ten_respondents_and_leaves_a_tombstone_when_fewer_are_left(
    pool: Pool, settings: Settings
) -> None:
    await register(pool, view())
    await count(pool, range(9))
    assert await publish(pool, settings, 0) == 0
    await count(pool, range(9, 10))
    assert await publish(pool, settings, 1) == 2
    assert await seen(pool) == {TOTAL: 10, HOME: 10}
    await count(pool, range(6), revision=2, suspected_machine=True)
    await publish(pool, settings, 2)
    assert await seen(pool) == {TOTAL: None, HOME: None}


async def test_answers_about_a_delivery_that_is_contested_are_told_to_no_partner(
    pool: Pool, settings: Settings
) -> None:
    await register(pool, view())
    await count(pool, range(11))
    await count(pool, range(11, 15), contested=True)
    await publish(pool, settings)
    assert await seen(pool) == {TOTAL: 11, HOME: 11}


async def test_what_partners_were_shown_stands_while_the_answers_are_not_read_again(
    pool: Pool, settings: Settings
) -> None:
    await register(pool, view())
    await count(pool, range(10))
    await publish(pool, settings, 0)
    async with pool.acquire() as connection:
        await connection.execute("DELETE FROM answer")
    assert await publish(pool, settings, 1) == 0
    await count(pool, range(7))
    assert await publish(pool, settings, 2) == 0
    assert await seen(pool) == {TOTAL: 10, HOME: 10}


async def test_an_answer_about_another_merchants_delivery_now_counts_as_taken_back(
    pool: Pool, settings: Settings
) -> None:
    await register(pool, view())
    await count(pool, range(10))
    await publish(pool, settings, 0)
    async with pool.acquire() as connection:
        await connection.execute("UPDATE answer SET units = '{}' WHERE response_id = $1", uuid.UUID(int=3))
    await publish(pool, settings, 1)
    assert await seen(pool) == {TOTAL: None, HOME: None}


async def test_nothing_is_published_before_the_counters_have_caught_up(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(*_: object) -> None:
        """Kafka is not what this is about."""

    monkeypatch.setattr(PartnerPublisher, "_send", send)
    partner = f"p-{uuid.uuid4().hex[:8]}"
    await apply_topics(settings, [partner_card(partner)])
    await register(pool, view(partner))
    await count(pool, range(10))
    caught_up = False
    publisher = PartnerPublisher(settings, Metrics(), lambda: caught_up, now=first)
    async with pool.acquire() as connection:
        assert await publisher.publish(connection, cast("AIOKafkaProducer", None), partner, compare=False) == 0
        assert await seen(pool, partner) == {}
        caught_up = True
        assert await publisher.publish(connection, cast("AIOKafkaProducer", None), partner, compare=False) == 2


async def test_moments_are_those_of_the_servers_clock_and_not_of_a_process(pool: Pool, settings: Settings) -> None:
    await register(pool, view())
    publisher = PartnerPublisher(settings, Metrics(), lambda: True)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '{FIRST}'::timestamptz $$"
        )
        schema = await connection.fetchval("SELECT current_schema()")
        await connection.execute(f'SET LOCAL search_path = "{schema}", pg_catalog')
        assert await publisher.now(connection) == FIRST


async def test_few_new_answers_wait_although_the_cell_is_large(pool: Pool, settings: Settings) -> None:
    await register(pool, view())
    await count(pool, range(40))
    await publish(pool, settings, 0)
    await count(pool, range(40, 49))
    assert await publish(pool, settings, 1) == 0
    await count(pool, range(49, 50))
    await publish(pool, settings, 2)
    assert await seen(pool) == {TOTAL: 50, HOME: 50}


async def test_nothing_is_published_between_the_moments_of_the_grid(pool: Pool, settings: Settings) -> None:
    await register(pool, view())
    await publish(pool, settings, 0)
    await count(pool, range(20))
    async with pool.acquire() as connection:
        assert await Publication(settings).make(connection, "fjallbod", FIRST + timedelta(hours=16)) is None
    assert await seen(pool) == {}


async def test_a_merchant_sees_only_its_own_deliveries(pool: Pool, settings: Settings) -> None:
    await register(pool, view())
    await count(pool, range(12))
    await count(pool, range(100, 150), merchant="Vinterhamn")
    await publish(pool, settings)
    assert await seen(pool) == {TOTAL: 12, HOME: 12}


async def test_small_units_are_grouped_when_their_window_is_settled(pool: Pool, settings: Settings) -> None:
    await register(pool, view())
    await count(pool, range(12))
    await count(pool, range(20, 26), method="locker")
    await count(pool, range(30, 37), method="service_point")
    await publish(pool, settings, 45)
    assert await seen(pool) == {TOTAL: 25, HOME: 12, GROUP: 13}
    async with pool.acquire() as connection:
        value = await connection.fetchval("SELECT value FROM partner_cell WHERE key = $1", GROUP)
    cell = decode(PartnerCell, Event(id="", source="", type="", data=value))
    assert (cell.grouped_units, cell.k, cell.answers) == (2, 10, 13)


@pytest.mark.parametrize(
    ("merchants", "answers"), [(2, {}), (3, {TOTAL: 18, "method|home_day|unit|month|2026-10": 18})]
)
async def test_a_view_of_all_merchants_needs_three_of_them(
    pool: Pool, settings: Settings, merchants: int, answers: dict[str, int]
) -> None:
    await register(pool, view("town", None))
    for number in range(18):
        await count(pool, range(number, number + 1), merchant=f"shop-{number % merchants}")
    await publish(pool, settings, partner="town")
    assert await seen(pool, "town") == answers


async def test_nothing_is_left_of_a_view_of_all_for_a_merchant_that_subtracts_its_own(
    pool: Pool, settings: Settings
) -> None:
    await register(pool, view())
    await register(pool, view("town", None))
    await count(pool, range(48))
    await count(pool, range(100, 105), merchant="B")
    await count(pool, range(200, 204), merchant="C")
    for partner in ("fjallbod", "town"):
        await publish(pool, settings, 0, partner)
    assert (await seen(pool), await seen(pool, "town")) == ({TOTAL: 48, HOME: 48}, {})
    await count(pool, range(204, 205), merchant="C")
    await publish(pool, settings, 1, "town")
    assert (await seen(pool, "town"))[TOTAL] == 58


@pytest.mark.parametrize(("together", "answers"), [(True, None), (False, 30)])
async def test_merchants_that_a_partner_is_shown_together_count_as_one_in_the_view_of_all(
    pool: Pool, settings: Settings, together: bool, answers: int | None
) -> None:
    if together:
        await register(pool, view("pair", ["A", "B"]))
    await register(pool, view("town", None))
    for merchant, start, number in (("A", 0, 12), ("B", 100, 10), ("C", 200, 4), ("D", 300, 4)):
        await count(pool, range(start, start + number), merchant=merchant)
    await publish(pool, settings, partner="town")
    assert (await seen(pool, "town")).get(TOTAL) == answers


async def test_a_view_is_checked_against_those_that_are_registered(pool: Pool) -> None:
    await register(pool, view())
    with pytest.raises(MustStop, match="fjallbod has a view of it"):
        await register(pool, view("again"))


async def test_two_views_that_are_registered_at_once_are_checked_against_each_other(pool: Pool) -> None:
    async with pool.acquire() as connection:
        async with connection.transaction():
            await Partners().add(connection, view(), load_cuts(None), REGISTERED)
            other = asyncio.create_task(register(pool, view("again")))
            await asyncio.sleep(0.3)
            assert not other.done()
        with pytest.raises(MustStop, match="fjallbod has a view of it"):
            await other


async def test_two_processes_that_publish_at_once_leave_what_one_alone_would(pool: Pool, settings: Settings) -> None:
    await register(pool, view())
    await count(pool, range(10))
    made = await asyncio.gather(publish(pool, settings), publish(pool, settings), return_exceptions=True)
    assert 2 in made
    assert all(m in (2, None) or isinstance(m, asyncpg.SerializationError) for m in made)
    async with pool.acquire() as connection:
        versions = await connection.fetch("SELECT version FROM partner_cell")
        released = await connection.fetchval("SELECT count(*) FROM partner_release")
    assert ([r["version"] for r in versions], released) == ([1, 1], 10)
    assert await publish(pool, settings) is None


def bearer(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


def app_of(pool: Pool) -> Starlette:
    async def ready() -> str | None:
        return None

    return make_app(list(routes(pool)), ready=ready, metrics=Metrics())


async def test_a_key_opens_the_snapshot_of_its_own_partner_only(pool: Pool, settings: Settings) -> None:
    ours, theirs = await register(pool, view()), await register(pool, view("vinterhamn", ["Vinterhamn"]))
    await count(pool, range(12))
    await publish(pool, settings)
    app = app_of(pool)
    path = "/api/partner/cells"
    mine = await ask(app, "GET", path, headers=bearer(ours))
    assert {c["partner"] for c in mine.json["cells"]} == {"fjallbod"}
    other = await ask(app, "GET", f"{path}?partner=fjallbod", headers=bearer(theirs))
    assert other.json == {"cells": []}
    for wrong in ("", "Bearer ", f"Bearer {ours[:-1]}x", f"Basic {ours}"):
        assert (await ask(app, "GET", path, headers=[("authorization", wrong)])).status == 401
    async with pool.acquire() as connection:
        assert await Partners().revoke(connection, "fjallbod", FIRST)
    assert (await ask(app, "GET", path, headers=bearer(ours))).status == 401


async def test_pages_join_to_the_whole_and_an_unchanged_page_is_not_sent_again(pool: Pool, settings: Settings) -> None:
    key = bearer(await register(pool, view()))
    await count(pool, range(12))
    await publish(pool, settings)
    app = app_of(pool)
    first = await ask(app, "GET", "/api/partner/cells?limit=1", headers=key)
    onward = first.headers["link"].removeprefix("<").partition(">")[0]
    second = await ask(app, "GET", onward, headers=key)
    assert [c["cut"] for c in first.json["cells"] + second.json["cells"]] == ["merchant.method", "total"]
    again = await ask(
        app, "GET", "/api/partner/cells?limit=1", headers=[*key, ("if-none-match", first.headers["etag"])]
    )
    assert again.status == 304
    lines = (await ask(app, "GET", "/api/partner/cells?format=csv", headers=key)).text.splitlines()
    assert lines[1].startswith("merchant.method,Fjällbod × home_day,,month,2026-10,12,")


async def test_the_topic_ends_with_what_the_table_holds_also_after_a_zombie(pool: Pool, settings: Settings) -> None:
    partner = f"p-{uuid.uuid4().hex[:8]}"
    await apply_topics(settings, [partner_card(partner)])
    await register(pool, view(partner))
    await count(pool, range(12))
    connection = await connect(settings, "aggregator")
    producer = make_producer(settings, client="test")
    await producer.start()
    try:
        publisher = PartnerPublisher(settings, Metrics(), lambda: True, now=first)
        assert await publisher.publish(connection, producer, partner, compare=False) == 2
        assert await publisher.publish(connection, producer, partner, compare=True) == 0
        truth = {r["key"]: r["value"] for r in await connection.fetch("SELECT key, value FROM partner_cell")}
        assert await publisher._last_values(partner) == truth
        await producer.send_and_wait(partner_topic(partner), b"{}", key=HOME.encode())
        assert await publisher.publish(connection, producer, partner, compare=True) == 1
        assert await publisher._last_values(partner) == truth
    finally:
        await producer.stop()
        await connection.close()


async def test_a_partner_who_was_told_more_than_a_restored_table_knows_is_told_nothing_more(
    pool: Pool, settings: Settings
) -> None:
    partner = f"p-{uuid.uuid4().hex[:8]}"
    await apply_topics(settings, [partner_card(partner)])
    await register(pool, view(partner))
    await count(pool, range(12))
    producer = make_producer(settings, client="test")
    await producer.start()
    try:
        async with pool.acquire() as connection:
            before = PartnerPublisher(settings, Metrics(), lambda: True, now=first)
            assert await before.publish(connection, producer, partner, compare=False) == 2
            for table in ("partner_cell", "partner_release"):
                await connection.execute(f"DELETE FROM {table}")
            await connection.execute("UPDATE partner SET published_at = $1", REGISTERED)
            await count(pool, range(12, 13))
            after = PartnerPublisher(settings, Metrics(), lambda: True, now=first)
            assert await after.publish(connection, producer, partner, compare=True) == 0
        assert await seen(pool, partner) == {}
    finally:
        await producer.stop()


async def test_a_partner_whose_cell_was_taken_back_after_what_a_restored_table_knows_is_told_nothing_more(
    pool: Pool, settings: Settings
) -> None:
    partner = f"p-{uuid.uuid4().hex[:8]}"
    await apply_topics(settings, [partner_card(partner)])
    await register(pool, view(partner))
    await count(pool, range(12))
    producer = make_producer(settings, client="test")
    await producer.start()
    try:
        async with pool.acquire() as connection:
            before = PartnerPublisher(settings, Metrics(), lambda: True, now=first)
            assert await before.publish(connection, producer, partner, compare=False) == 2
            await producer.send_and_wait(partner_topic(partner), None, key=HOME.encode())
            after = PartnerPublisher(settings, Metrics(), lambda: True, now=first)
            assert await after.publish(connection, producer, partner, compare=True) == 0
        assert (await before._last_values(partner))[HOME] is None
    finally:
        await producer.stop()


@pytest.mark.parametrize(
    "fault", [UnknownTopicOrPartitionError(), TryAgain("topic error 29")], ids=["missing", "forbidden"]
)
async def test_a_partner_whose_topic_is_missing_or_forbidden_holds_up_no_other(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    await register(pool, view("a-without-topic"))
    await register(pool, view("b-shop", merchants=("other",)))
    told: list[str] = []

    async def publish(_: PartnerPublisher, __: object, ___: object, partner: str, *, compare: bool) -> int:
        told.append(partner)
        if partner == "a-without-topic":
            raise fault
        return int(compare)

    monkeypatch.setattr(PartnerPublisher, "publish", publish)
    publisher = PartnerPublisher(settings, Metrics(), lambda: True, now=first)
    async with pool.acquire() as connection:
        with pytest.raises(type(fault)):
            await publisher._publish_until_stopped(connection, cast("AIOKafkaProducer", None), asyncio.Event())
    assert told == ["a-without-topic", "b-shop"]


async def test_while_one_topic_is_missing_the_others_are_compared(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(pool, view("a-without-topic"))
    await register(pool, view("b-shop", merchants=("other",)))
    compared: list[bool] = []

    async def publish(_: PartnerPublisher, __: object, ___: object, partner: str, *, compare: bool) -> int:
        if partner == "a-without-topic":
            raise UnknownTopicOrPartitionError
        compared.append(compare)
        return 0

    monkeypatch.setattr(PartnerPublisher, "publish", publish)
    often = settings.model_copy(update={"anti_entropy_seconds": 0.05})
    publisher = PartnerPublisher(often, Metrics(), lambda: True, now=first)
    async with pool.acquire() as connection:
        for _session in range(2):
            with pytest.raises(UnknownTopicOrPartitionError):
                await publisher._publish_until_stopped(connection, cast("AIOKafkaProducer", None), asyncio.Event())
            await asyncio.sleep(0.1)
    assert compared == [False, True]


async def test_a_merchant_of_whom_nothing_was_counted_is_told_with_the_closest_that_were(pool: Pool) -> None:
    await count(pool, range(1), merchant="fjallbod")
    await count(pool, range(1, 2), merchant="vinterhamn")
    async with pool.acquire() as connection:
        found = await Partners().not_counted(connection, view(merchants=("Fjällbod", "vinterhamn", "xyz")))
        assert await Partners().not_counted(connection, view(merchants=None)) == {}
    assert found == {"Fjällbod": ["fjallbod"], "xyz": []}


async def partners(settings: Settings, *words: str, **told: str) -> tuple[int | None, str, str]:
    """Run a command of `kvittera partners`; returns its exit code and what it says."""
    environment = os.environ | {
        "KVITTERA_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "KVITTERA_POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
        **told,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "partners", *words), env=environment, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_partner_whose_topic_kafka_refuses_is_not_registered_and_can_be_added_again(
    pool: Pool, settings: Settings
) -> None:
    name = f"shop-{uuid.uuid4().hex[:8]}"
    words = ("add", name, "--merchant", name)

    code, out, err = await partners(settings, *words, KVITTERA_KAFKA_REPLICATION="9")
    assert (code, out) == (2, "")
    assert f"kvittera: Kafka refused to create satisfaction.partner.{name}.v1" in err
    async with pool.acquire() as connection:
        assert name not in {p.view.partner for p in await Partners().all(connection)}

    code, out, err = await partners(settings, *words)
    assert code == 0, err
    async with pool.acquire() as connection:
        assert await Partners().holding(connection, out.splitlines()[0]) is not None


async def test_no_topic_is_made_for_a_partner_that_is_refused(pool: Pool, settings: Settings) -> None:
    await register(pool, view(merchants=("fjallbod",)))
    name = f"shop-{uuid.uuid4().hex[:8]}"

    code, _, err = await partners(settings, "add", name, "--merchant", "fjallbod")

    assert (code, "has a view of it; two could be subtracted" in err) == (2, True)
    with pytest.raises(MustStop, match="does not exist"):
        await topic_partitions(settings, partner_topic(name))


async def test_partners_are_registered_listed_and_revoked_by_the_command(pool: Pool, settings: Settings) -> None:
    name = f"shop-{uuid.uuid4().hex[:8]}"
    code, out, err = await partners(
        settings, "add", name, "--merchant", "Fjällbod", "--cut", "merchant.method", "--grid", "week"
    )
    assert code == 0, err
    assert "warning: nothing of merchant Fjällbod was counted yet: --merchant takes the merchant_id" in err
    key, *commands = out.splitlines()
    assert key.startswith("kv_")
    assert f"--topic satisfaction.partner.{name}.v1" in commands[0]
    assert [p.topic for p in await topic_partitions(settings, partner_topic(name))] == [partner_topic(name)]
    async with pool.acquire() as connection:
        held = await Partners().holding(connection, key)
    assert held is not None
    assert (held.view.partner, held.view.merchants, held.view.grid) == (name, ("Fjällbod",), "week")
    (_, listed, _), (refused, _, why) = await asyncio.gather(
        partners(settings, "list"), partners(settings, "add", f"{name}-2", "--merchant", "Fjällbod")
    )
    assert listed.startswith(f"{name} ")
    assert "total > merchant.method  of Fjällbod" in listed
    assert (refused, why) == (2, f"kvittera: Fjällbod: {name} has a view of it; two could be subtracted\n")
    code, out, _ = await partners(settings, "revoke", name)
    assert code == 0
    assert "--remove --force" in out
    async with pool.acquire() as connection:
        assert await Partners().holding(connection, key) is None
