"""Migrations over tables that hold rows: nothing is lost, figures stay, and the version before goes on writing."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from services.aggregator.counting.zone_data import note_zone_data, noted_zone_data
from services.chassis import postgres
from services.chassis.ids import time_ordered
from services.chassis.metrics import Metrics
from services.chassis.months import later, month_of
from services.chassis.persons import PersonKeys
from services.chassis.postgres import OwnConnection, connect, migrate, named_sql, open_pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.channels.reports import Progress, Report
from services.notifier.receipts import ReceiptsInbox
from services.notifier.retention import months as of_notifier
from services.survey.privacy.contact_views import views
from services.survey.privacy.retention import months as of_survey
from tests.harness import until

ALL = 3221225472
FIGURES = "s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested"


class Upgrade:
    """One service's schema, made as it was before a migration, and then brought up to date."""

    def __init__(self, settings: Settings, patch: pytest.MonkeyPatch) -> None:
        self.settings, self.patch = settings, patch

    async def before(self, service: str, migration: str) -> OwnConnection:
        """A connection to an empty schema that lacks this migration and all later ones."""
        every = postgres.migrations
        connection = await connect(self.settings, service)
        await connection.execute(f'DROP SCHEMA "{service}" CASCADE')
        with self.patch.context() as patched:
            patched.setattr(postgres, "migrations", lambda package: [m for m in every(package) if m[0] < migration])
            await migrate(connection, service, f"services.{service}")
        return connection

    async def now(self, connection: OwnConnection, service: str) -> list[str]:
        """Bring the schema up to date; returns what was applied."""
        return await migrate(connection, service, f"services.{service}")


@pytest.fixture
def upgrade(shared_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    return Upgrade(shared_settings, monkeypatch)


def hour(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 3600


async def count_before_the_funnel(connection: OwnConnection) -> None:
    """Answers and decisions of the total and one terminal across a month, and the cells that they make."""
    await connection.execute(
        "INSERT INTO unit (cut, value) VALUES ('total', ''), ('terminal', 'Årsta');"
        "INSERT INTO counted_cut (cut, windows, state) VALUES ('total', 31, 'counted'), ('terminal', 31, 'counted');"
        "INSERT INTO counting (version) VALUES (7)"
    )
    october, november = hour("2026-10-31T23:00"), hour("2026-11-01T00:00")
    answers = [
        (1, 5, False, False, False, october),
        (2, 4, True, False, False, november),
        (3, 1, True, False, False, november),
        (4, 2, False, True, False, november),  # contested: its score counts nowhere
        (5, 1, True, False, True, november),  # kept apart
        (6, None, True, False, False, november + 1),
    ]
    await connection.executemany(
        "INSERT INTO answer (response_id, revision, score, commented, contested, apart, local_hour, units, minute)"
        " VALUES ($1, 1, $2, $3, $4, $5, $6, '{1,2}', 0)",
        [(UUID(int=n), *rest) for n, *rest in answers],
    )
    outcomes = ("asked", "asked", "suppressed", "pending", "failed")
    await connection.executemany(
        "INSERT INTO decision (delivery_id, kind, revision, outcome, local_hour, units)"
        " VALUES ($1, 'ask', 1, $2, $3, $4)",
        [(f"D-{n}", outcome, november, [1, 2] if n else [1]) for n, outcome in enumerate(outcomes)],
    )
    await connection.execute(
        f"INSERT INTO cell (cell, version, {FIGURES}) SELECT cell, 3, {FIGURES} FROM expected_cell"
    )


async def figures(connection: OwnConnection) -> dict[int, tuple[int, ...]]:
    return {r["cell"]: tuple(r)[1:] for r in await connection.fetch(f"SELECT cell, {FIGURES} FROM cell")}


async def test_the_funnel_comes_to_counted_tables_and_leaves_every_figure_as_it_was(upgrade: Upgrade) -> None:
    connection = await upgrade.before("aggregator", "024")
    await count_before_the_funnel(connection)
    before = await figures(connection)
    total, terminal = ((unit << 32) + ALL for unit in (1, 2))
    assert before[total] == (1, 0, 0, 1, 1, 5, 2, 1, 1, 1, 3, 1)
    assert before[terminal] == (1, 0, 0, 1, 1, 4, 1, 1, 1, 1, 3, 1)

    assert "024_funnel.sql" in await upgrade.now(connection, "aggregator")
    after = await figures(connection)
    assert {cell: after[cell] for cell in before} == before
    assert await connection.fetch(named_sql("services.aggregator")["audit_cells"]) == []
    opened = {r["cell"]: r["opened"] for r in await connection.fetch("SELECT cell, opened FROM cell")}
    assert (opened[total], opened[terminal]) == (5, 5)

    series = await connection.fetchval("SELECT id FROM unit WHERE cut = 'series' AND value = 'unknown'")
    assert after[(series << 32) + ALL] == (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)
    assert {cell >> 32 for cell in after.keys() - before.keys()} == {series}
    touched = await connection.fetch("SELECT DISTINCT unnest(cells) AS cell FROM touched")
    assert {r["cell"] for r in touched} == set(after)
    versions = await connection.fetch("SELECT cell, version FROM cell")
    assert {r["cell"]: r["version"] for r in versions} == {cell: 4 if cell in before else 1 for cell in after}
    assert await connection.fetchval("SELECT version FROM counting") == 8
    await connection.close()


@pytest.mark.parametrize("counted", [True, False])
async def test_what_was_counted_before_zone_data_was_kept_is_of_an_untold_version(
    upgrade: Upgrade, counted: bool
) -> None:
    connection = await upgrade.before("aggregator", "046")
    if counted:
        await connection.execute("INSERT INTO counting (version) VALUES (1)")
    assert "046_zone_data.sql" in await upgrade.now(connection, "aggregator")
    await note_zone_data(connection, "2026a", datetime(2026, 11, 1, tzinfo=UTC))
    assert await noted_zone_data(connection) == (["2026a", "untold"] if counted else ["2026a"])
    # As the version before closes a month.
    await connection.execute(
        "INSERT INTO closed_month (month, revision, reason, closed_at) VALUES (681, 1, 'closed', now())"
    )
    assert await connection.fetchval("SELECT zone_data FROM closed_month") is None
    await connection.close()


# As the version before 030 writes and reads.
KEEP_RECEIPT_BEFORE = (
    "INSERT INTO receipt (provider, message_id, status, invitation_id, reason, sealed, progress)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING true"
)
RECORD_VIEW_BEFORE = "INSERT INTO contact_view (subject, member, response_id, reason) VALUES ($1, $2, $3, $4)"


async def invite(connection: OwnConnection, invitation: UUID) -> None:
    await connection.execute(
        "INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at,"
        " occurred_at, token_sha256, message)"
        " VALUES ($1, 'D-0', 'ask', 'accepted', $2, 'sms', 'sv', now(), now(), $2, '{}')",
        invitation,
        b"p" * 16,
    )


async def test_kept_receipts_become_the_first_month_and_stay_known(upgrade: Upgrade) -> None:
    connection = await upgrade.before("notifier", "030")
    invitation, now = UUID(int=1), datetime.now(UTC)
    await invite(connection, invitation)
    for days, status in ((0, "delivered"), (20, "sent"), (70, "created")):
        await connection.execute(
            "INSERT INTO receipt (provider, message_id, status, invitation_id, sealed, progress, received_at)"
            " VALUES ('elks', 's1', $1, $2, 'x', 'sent', $3)",
            status,
            invitation,
            now - timedelta(days=days),
        )
    before = await connection.fetch("SELECT * FROM receipt ORDER BY received_at")

    assert "030_months.sql" in await upgrade.now(connection, "notifier")
    assert await connection.fetch("SELECT * FROM receipt ORDER BY received_at") == before
    kept = [
        await connection.fetchval(KEEP_RECEIPT_BEFORE, "elks", "s2", "sent", invitation, None, None, "sent")
        for _ in range(2)
    ]
    assert kept == [True, None]

    pool = await open_pool(upgrade.settings, "notifier")
    inbox = ReceiptsInbox(pool, PersonKeys(Seal(b"k" * 32)), timedelta(days=1), Metrics())
    taken = [
        await inbox.take("elks", Report(str(invitation), m, "sent", Progress.SENT, b"")) for m in ("s1", "s2", "s3")
    ]
    assert taken == ["duplicate", "duplicate", "sent"]
    pool.terminate()

    monthly = of_notifier(upgrade.settings)
    parts = await monthly.parts(connection, monthly.tables[0])
    assert [(p.name, p.ends) for p in parts if p.starts is None] == [("receipt_before", later(month_of(now), 1))]
    assert (await monthly.room(connection))["receipt"] == 2
    await connection.close()


async def test_a_report_that_comes_again_in_the_next_month_is_a_duplicate(upgrade: Upgrade) -> None:
    connection = await upgrade.before("notifier", "999")
    invitation = UUID(int=1)
    await invite(connection, invitation)
    await connection.execute(
        "INSERT INTO receipt (provider, message_id, status, invitation_id, progress, received_at)"
        " VALUES ('elks', 's1', 'sent', $1, 'sent', now() + interval '31 days')",
        invitation,
    )
    keep = named_sql("services.notifier", "receipts.sql")["keep_receipt"]
    assert await connection.fetchval(keep, "elks", "s1", "sent", invitation, None, None, "sent") is None
    assert await connection.fetchval(keep, "elks", "s1", "delivered", invitation, None, None, "delivered") is True
    assert await connection.fetchval(keep, "cell", "s1", "sent", invitation, None, None, "sent") is True
    await connection.close()


async def test_views_of_contact_data_become_the_first_month_and_numbers_go_on(upgrade: Upgrade) -> None:
    connection = await upgrade.before("survey", "030")
    for days in (500, 40, 0):
        await connection.execute(
            "INSERT INTO contact_view (viewed_at, subject, member, response_id, reason)"
            " VALUES ($1, 's-1', 'Anna Lund', $2, 'case K-1')",
            datetime.now(UTC) - timedelta(days=days),
            UUID(int=days),
        )
    before = await connection.fetch("SELECT * FROM contact_view ORDER BY view_id")

    assert "030_months.sql" in await upgrade.now(connection, "survey")
    assert await connection.fetch("SELECT * FROM contact_view ORDER BY view_id") == before
    await connection.execute(RECORD_VIEW_BEFORE, "s-2", "Bo Ek", UUID(int=7), "case K-2")
    assert [r["view_id"] for r in await connection.fetch("SELECT view_id FROM contact_view ORDER BY 1")] == [1, 2, 3, 4]
    assert len(await views(connection, datetime(2020, 1, 1, tzinfo=UTC))) == 4
    with pytest.raises(asyncpg.CheckViolationError, match="reason"):
        await connection.execute(RECORD_VIEW_BEFORE, "s-2", "Bo Ek", UUID(int=7), "")
    assert await of_survey(upgrade.settings).room(connection) == {"contact_view": 2}
    await connection.close()


async def test_a_row_that_a_wrong_clock_dated_ahead_keeps_its_place_and_others_go_on(
    upgrade: Upgrade,
) -> None:
    connection = await upgrade.before("notifier", "030")
    soon = datetime.now(UTC) + timedelta(days=62)
    await connection.execute(
        "INSERT INTO receipt (provider, message_id, status, invitation_id, received_at)"
        " VALUES ('elks', 's1', '', $1, $2)",
        UUID(int=1),
        soon,
    )
    await upgrade.now(connection, "notifier")
    assert await connection.fetchval("SELECT tableoid::regclass::text FROM receipt") == "receipt_before"
    await connection.execute(KEEP_RECEIPT_BEFORE, "elks", "s2", "", UUID(int=1), None, None, None)
    assert await connection.fetchval("SELECT count(*) FROM receipt") == 2
    await connection.close()


OLD_REQUEST = (
    "INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at, occurred_at,"
    " token_sha256, message) VALUES ($1, $2, 'ask', $3, $4, 'sms', 'sv', now(), now(), convert_to($2, 'UTF8'), '{}')"
)


async def test_requests_become_the_first_months_and_the_version_before_goes_on_writing(upgrade: Upgrade) -> None:
    connection = await upgrade.before("notifier", "040")
    now = datetime.now(UTC)
    moments = [now - timedelta(days=700), now - timedelta(days=40), now, now + timedelta(days=60)]
    for number, (at, state) in enumerate(zip(moments, ("accepted", "withheld", "planned", "planned"), strict=True)):
        await connection.execute(OLD_REQUEST, time_ordered(at), f"D-{number}", state, b"p" * 16)
    before = await connection.fetch("SELECT * FROM invitation ORDER BY 1")
    waiting = await connection.fetch("SELECT * FROM open_send ORDER BY 1")

    applied = await upgrade.now(connection, "notifier")
    assert [n for n in applied if n.startswith("040_requests")] == [
        "040_requests_1_bound.sql",
        "040_requests_2_validated.sql",
        "040_requests_3_by_month.sql",
    ]
    assert await connection.fetch("SELECT * FROM invitation ORDER BY 1") == before
    assert await connection.fetch("SELECT * FROM open_send ORDER BY 1") == waiting
    assert await connection.fetchval("SELECT count(*) FROM invitation_before") == 4
    assert (await of_notifier(upgrade.settings).room(connection))["invitation"] >= 2

    for number, state in ((4, "planned"), (5, "accepted")):
        await connection.execute(OLD_REQUEST, time_ordered(now), f"D-{number}", state, b"p" * 16)
    await connection.execute("UPDATE invitation SET state = 'calling' WHERE delivery_id = 'D-2'")
    counted = await connection.fetch(named_sql("services.notifier")["ledger_counted"])
    assert {r["state"]: r["n"] for r in counted} == {"accepted": 2, "withheld": 1, "planned": 2, "calling": 1}
    assert await connection.fetchval("SELECT count(*) FROM open_send") == 3
    await connection.close()


async def test_requests_whose_ids_are_random_are_refused_before_anything_changes(upgrade: Upgrade) -> None:
    connection = await upgrade.before("notifier", "040")
    await connection.execute(OLD_REQUEST, UUID(int=2**128 - 1), "D-0", "accepted", b"p" * 16)
    with pytest.raises(asyncpg.RaiseError, match="do not begin with their moment"):
        await upgrade.now(connection, "notifier")
    await connection.execute(OLD_REQUEST, UUID(int=2**128 - 2), "D-1", "accepted", b"p" * 16)
    await connection.close()


async def test_requests_that_were_on_their_way_are_open_sends_and_settled_ones_are_not(upgrade: Upgrade) -> None:
    connection = await upgrade.before("notifier", "031")
    due, lease, called = (datetime(2026, 11, 22, hour, tzinfo=UTC) for hour in (10, 11, 12))
    states = ("planned", "claimed", "calling", "in_doubt", "accepted", "refused", "unknown", "withheld")
    await connection.executemany(
        "INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at,"
        " occurred_at, lease_until, called_at, token_sha256, message)"
        " VALUES ($1, $2, 'ask', $3, $4, 'sms', 'sv', $5, $5, $6, $7, convert_to($2, 'UTF8'), '{}')",
        [(UUID(int=n), f"D-{n}", state, b"p" * 16, due, lease, called) for n, state in enumerate(states)],
    )
    assert "031_open_sends.sql" in await upgrade.now(connection, "notifier")
    rows = await connection.fetch("SELECT invitation_id, channel, state, at FROM open_send ORDER BY 1")
    assert [(r["invitation_id"].int, *list(r)[1:]) for r in rows] == [
        (0, "sms", "planned", due),
        (1, "sms", "claimed", lease),
        (2, "sms", "calling", lease),
        (3, "sms", "in_doubt", called),
    ]
    await connection.close()


# As the version before outbox_waiting writes, reads, marks and takes marks away.
WRITE_BEFORE = "INSERT INTO outbox (shard, topic, key, value) VALUES (1, 't', 'k', convert_to($1, 'UTF8'))"
READ_BEFORE = "SELECT id FROM outbox WHERE published_at IS NULL AND shard = 1 ORDER BY id LIMIT 500"
MARK_BEFORE = "UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY($1::bigint[])"
AGAIN_BEFORE = "UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL AND happened_at >= $1"


async def waiting(connection: OwnConnection) -> list[int]:
    rows = await connection.fetch(named_sql("services.chassis", "outbox.sql")["read_waiting"], [0, 1, 2, 3], 500)
    assert all(r["topic"] == "t" for r in rows)
    return [r["id"] for r in rows]


async def test_what_waits_for_kafka_waits_on_and_the_version_before_ends_and_begins_waiting(upgrade: Upgrade) -> None:
    connection = await upgrade.before("survey", "002")
    for value in ("1", "2", "3"):
        await connection.execute(WRITE_BEFORE, value)
    await connection.execute(MARK_BEFORE, [2])
    assert "002_outbox_waiting.sql" in await upgrade.now(connection, "survey")
    assert await waiting(connection) == [1, 3]
    await connection.execute(WRITE_BEFORE, "4")
    assert await waiting(connection) == [1, 3, 4]
    await connection.execute(MARK_BEFORE, [1, 4])
    assert await waiting(connection) == [3]
    await connection.execute(AGAIN_BEFORE, datetime(2020, 1, 1, tzinfo=UTC))
    assert await waiting(connection) == [1, 2, 3, 4]
    await connection.close()


async def test_a_relay_of_the_version_before_finds_all_that_waits_and_more(upgrade: Upgrade) -> None:
    connection = await upgrade.before("survey", "999")
    for value in ("1", "2"):
        await connection.execute(WRITE_BEFORE, value)
    await connection.execute(named_sql("services.chassis", "outbox.sql")["end_waiting"], [1], [1])
    assert await waiting(connection) == [2]
    assert [r["id"] for r in await connection.fetch(READ_BEFORE)] == [1, 2]
    await connection.close()


async def test_a_row_that_is_written_while_the_outbox_changes_waits_for_kafka(upgrade: Upgrade) -> None:
    connection = await upgrade.before("survey", "002")
    writer = await connect(upgrade.settings, "survey")
    async with writer.transaction():
        await writer.execute(WRITE_BEFORE, "1")
        change = asyncio.create_task(upgrade.now(connection, "survey"))
        # The change waits for us; what we write commits before it goes on.
        await until(lambda: writer.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
    await change
    assert await waiting(connection) == [1]
    await writer.close()
    await connection.close()
