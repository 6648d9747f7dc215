"""A closed month is counted again from the topics as it was closed, each revision by itself; other rows are found."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiokafka.admin import RecordsToDelete
from typer.testing import CliRunner, Result

from schemas.topics import FEEDBACK_CASE, RESPONSE_RECORDED
from services.aggregator.counting.cuts import CutsFile, load_cuts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.zone_data import note_zone_data, zone_data
from services.aggregator.figures.months import Months, month_number
from services.aggregator.history.closed_months import MonthReplay, replay_month
from services.aggregator.history.kafka_holds import TOPICS_OF_MONTHS, kafka_holds
from services.chassis.failures import MustStop
from services.chassis.kafka import make_admin
from services.chassis.postgres import Pool, open_pool
from services.chassis.settings import Settings
from services.cli import app
from tests.builders import NOON, facts
from tests.counted_topics import count_cases, count_live, make_topics_anew, records, send
from tests.harness import until
from tests.tables import make_incoming

OCTOBER = month_number("2026-10")
LATER = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    await make_topics_anew(settings, TOPICS_OF_MONTHS)
    made = await open_pool(settings, "aggregator", prepare=make_incoming)
    async with made.acquire() as connection:
        await StoredCuts().agree(connection, CutsFile(1, load_cuts(None)))
        await note_zone_data(connection, zone_data(), NOON)
    yield made
    made.terminate()
    await make_topics_anew(settings, TOPICS_OF_MONTHS)


def answer(number: int, revision: int, score: int, **told: Any) -> tuple[str, bytes, bytes]:
    response = f"01983b1e-7d2a-7c7e-9d57-0e8f5bb2c{number:03}"
    where = facts(delivery_id=f"M-{number}", terminal="Kiruna").model_dump(mode="json", exclude_none=True)
    of_it = {"response_id": response, "revision": revision, "score": score, "delivery": where, "recorded_at": NOON}
    return RESPONSE_RECORDED, response.encode(), orjson.dumps(of_it | told)


def case(name: str, revision: int, **judged: str) -> tuple[str, bytes, bytes]:
    of_it = {"case_id": name, "revision": revision, "state": "open", "opened_because": ["low_score"]}
    of_it |= {"response_id": f"R-{name}", "opened_at": NOON, "sla_due_at": NOON, "changed_at": NOON}
    of_it |= {"delivery": facts(delivery_id=f"D-{name}").model_dump(mode="json", exclude_none=True)}
    return FEEDBACK_CASE, name.encode(), orjson.dumps(of_it | judged)


async def count(settings: Settings, pool: Pool, told: list[tuple[str, bytes, bytes]]) -> None:
    await send(settings, told)
    await count_live(settings, pool)
    await count_cases(settings, pool)


async def close_and_revise(settings: Settings, pool: Pool) -> None:
    """October with a revision after a late answer, a re-labelled and a changed one, and a case that was judged."""
    before = [*records(1, 30), *(answer(n, 1, 5, follow_ups={"ease": 4}) for n in range(6))]
    await count(settings, pool, [*before, case("a", 1), case("b", 1, cause="late", attribution="own")])
    async with pool.acquire() as connection:
        await Months(14).close(connection, OCTOBER, LATER)
    late = [answer(7, 1, 1, follow_ups={"ease": 2}), answer(1, 2, 5, rated="shop"), answer(2, 2, 3, erased=True)]
    await count(settings, pool, [*late, case("a", 2, cause="missing", attribution="unclear")])
    async with pool.acquire() as connection:
        assert await Months(14).revise(connection, OCTOBER, "late answers", LATER + timedelta(days=1)) == 2
    # What comes later is of no revision: other cuts, and answers that nobody has stored.
    await pool.execute("DELETE FROM counted_cut WHERE cut = 'method'")
    await pool.execute("INSERT INTO counted_cut (cut, windows, state) VALUES ('terminal.wave_5', 31, 'counted')")
    await count(settings, pool, [answer(8, 1, 1), case("c", 1)])


async def forged(pool: Pool, *changes: str) -> None:
    """What a superuser can do to rows that never change."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        for change in changes:
            assert await connection.execute(change) in {"UPDATE 1", "DELETE 1"}


def differing(found: MonthReplay) -> list[tuple[str, list[str], Any, Any]]:
    return [(d.kind, [*d.where], d.closed, d.counted) for d in found.differing]


async def test_every_revision_of_a_closed_month_is_counted_again_as_it_was_and_a_forged_row_is_found(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await close_and_revise(settings, pool)
    of_kiruna = "SELECT s1, s3, s5 FROM closed_cell WHERE cut = 'terminal' AND value = 'Kiruna' ORDER BY revision"
    assert [tuple(r) for r in await pool.fetch(of_kiruna)] == [(0, 0, 6), (1, 1, 4)]
    first, second = await replay_month(settings, OCTOBER, 1), await replay_month(settings, OCTOBER)
    assert (first.revision, second.revision) == (1, 2)
    assert (first.differing, second.differing) == ([], [])
    assert (first.equal, second.equal) == (True, True)
    assert second.read == first.read + 4
    assert (second.missing, second.put_aside >= 2) == (0, True)
    for found in (first, second):
        for table, rows in (("cell", found.cells), ("question", found.questions), ("complaint", found.complaints)):
            of_it = f"SELECT count(*) FROM closed_{table} WHERE revision = {found.revision}"
            assert rows == await pool.fetchval(of_it) > 0
    assert await pool.fetchval("SELECT to_regnamespace('aggregator_shadow')") is None
    await forged(
        pool,
        "UPDATE closed_cell SET s5 = s5 + 1 WHERE revision = 1 AND cut = 'terminal' AND value = 'Kiruna'",
        "UPDATE closed_question SET answers = 9 WHERE revision = 1 AND cut = 'terminal' AND value = 'Kiruna'",
        "DELETE FROM closed_complaint WHERE revision = 1 AND cause = 'late'",
    )
    found = await replay_month(settings, OCTOBER, 1)
    assert not found.equal
    no_more = [0] * 8  # deliveries were not decided about
    assert differing(found) == [
        ("cell", ["terminal", "Kiruna"], [0, 0, 0, 0, 7, *no_more, 6], [0, 0, 0, 0, 6, *no_more, 6]),
        ("question", ["terminal", "Kiruna", "ease", "4"], [9], [6]),
        ("complaint", ["late", "own"], None, [1]),
    ]
    await told_by_the_command(settings, monkeypatch, first)


async def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setenv("KVITTERA_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("KVITTERA_POSTGRES_DSN", settings.postgres_dsn.get_secret_value())
    monkeypatch.setenv("KVITTERA_ALLOW_UNSAFE_POSTGRES", "true")
    return await asyncio.to_thread(CliRunner().invoke, app, list(words))


async def told_by_the_command(settings: Settings, monkeypatch: pytest.MonkeyPatch, first: MonthReplay) -> None:
    done = await command(settings, monkeypatch, "replay", "--month", "2026-10", "--revision", "1")
    rows = first.cells + first.questions + first.complaints - 1  # the complaint is gone
    assert done.exit_code == 1
    assert done.stdout.startswith(
        f"NOT EQUAL: 2026-10, revision 1, as closed at 2026-11-20 00:00 UTC: {rows} rows compared, 3 differ\n"
        f"{first.cells} of cells, {first.questions} of answers to further questions, {first.complaints - 1} of"
        " complaints\n"
    )
    assert "  complaint late, own: closed None, from the topics [1]\n" in done.stdout
    done = await command(settings, monkeypatch, "replay", "--month", "2026-10", "--json")
    told = orjson.loads(done.stdout)
    assert (done.exit_code, told["equal"], told["revision"], told["differing"]) == (0, True, 2, [])
    assert told["closed_at"] == "2026-11-21 00:00:00+00:00"
    done = await command(settings, monkeypatch, "replay", "--revision", "1")
    assert "name it with --month" in str(done.exception)


async def test_what_cannot_be_counted_again_is_told_with_why(settings: Settings, pool: Pool) -> None:
    await count(settings, pool, [answer(1, 1, 5)])
    async with pool.acquire() as connection:
        await Months(14).close(connection, OCTOBER, LATER)
    with pytest.raises(MustStop, match="2026-09 is not closed"):
        await replay_month(settings, OCTOBER - 1)
    with pytest.raises(MustStop, match="2026-10 has no revision 2"):
        await replay_month(settings, OCTOBER, 2)
    of_answers = f"WHERE (topic, part) = (SELECT topic, part FROM closed_position WHERE topic = '{RESPONSE_RECORDED}'"
    of_answers += " AND next > 0)"
    await forged(pool, f"UPDATE closed_position SET next = next + 1 {of_answers}")
    with pytest.raises(MustStop, match="ends at 1 and revision 1 of 2026-10 was counted up to 2: Kafka lost"):
        await replay_month(settings, OCTOBER)
    await forged(pool, f"UPDATE closed_position SET next = 1, topic_id = gen_random_uuid() {of_answers}")
    with pytest.raises(MustStop, match="is not the topic that revision 1 of 2026-10 was counted from"):
        await replay_month(settings, OCTOBER)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM closed_position")
    with pytest.raises(MustStop, match="revision 1 of 2026-10 was closed before it was kept how far"):
        await replay_month(settings, OCTOBER)


async def test_records_that_kafka_gave_up_are_told(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await count(settings, pool, [answer(1, 1, 5), answer(2, 1, 4), case("a", 1)])
    async with pool.acquire() as connection:
        await Months(14).close(connection, OCTOBER, LATER)
    await give_up(settings, RESPONSE_RECORDED)
    found = await replay_month(settings, OCTOBER)
    assert (found.equal, found.missing, found.read) == (False, 2, 1)
    assert {d.kind for d in found.differing} == {"cell"}
    done = await command(settings, monkeypatch, "replay", "--month", "2026-10")
    assert "Kafka does not have the first 2 records any more: a row that differs may have come from them" in done.stdout
    await give_up(settings, FEEDBACK_CASE)
    with pytest.raises(MustStop, match="Kafka has no record any more of those that revision 1 of 2026-10"):
        await replay_month(settings, OCTOBER)


async def give_up(settings: Settings, topic: str) -> None:
    ends = {p: e.end for p, e in (await kafka_holds(settings, [topic])).extents.items()}
    admin = make_admin(settings)
    await admin.start()
    await admin.delete_records({p: RecordsToDelete(before_offset=end) for p, end in ends.items()})
    await admin.close()


async def test_a_month_is_not_closed_while_records_wait_unless_that_is_accepted(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVITTERA_MONTH_TOLERANCE_DAYS", "0")
    old = facts(delivery_id="M-0", occurred_at=NOON - timedelta(days=1000)).model_dump(mode="json", exclude_none=True)
    await count(settings, pool, [answer(0, 1, 5, delivery=old)])
    await send(settings, [answer(0, 2, 4, delivery=old), case("a", 1)])
    close = ("months", "close", "2024-01")
    done = await command(settings, monkeypatch, *close, "--wait", "0")
    assert isinstance(done.exception, MustStop)
    assert "not counted yet (1 of response.recorded.v1, 1 of feedback.case.v1)" in str(done.exception)
    assert await pool.fetchval("SELECT count(*) FROM closed_month") == 0
    began = await pool.fetchval("SELECT clock_timestamp()")
    closing = asyncio.create_task(command(settings, monkeypatch, *close))

    async def it_waits() -> bool:
        asks = "backend_start > $1 AND query LIKE 'SELECT topic, part, next FROM progress%'"
        return bool(await pool.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {asks}", began))

    await until(it_waits)
    await count(settings, pool, [])
    assert (await closing).stdout == "closed 2024-01\n"
    assert await pool.fetchval("SELECT s4 FROM closed_cell WHERE cut = 'total'") == 1
    await send(settings, [answer(0, 3, 3, delivery=old)])
    revise = ("months", "revise", "2024-01", "--reason", "late")
    done = await command(settings, monkeypatch, *revise, "--wait", "0")
    assert "not counted yet (1 of response.recorded.v1)" in str(done.exception)
    done = await command(settings, monkeypatch, *revise, "--accept-waiting")
    assert "nothing in 2024-01 changed since revision 1" in str(done.exception)
