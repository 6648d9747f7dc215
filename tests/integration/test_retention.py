"""What is older than its time goes, in batches, once; what is younger stays."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.postgres import Pool
from services.chassis.retention import Retention
from services.chassis.settings import Settings
from services.cli.retention import _run
from services.notifier.retention import retention as of_notifier
from services.survey.privacy.retention import retention as of_survey
from tests.tables import empty_pool

PERSON = b"p" * 16


@pytest.fixture(scope="module")
def settings(shared_settings: Settings) -> Settings:
    return shared_settings


@pytest.fixture
async def notifier(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "notifier") as empty:
        yield empty


@pytest.fixture
async def survey(settings: Settings) -> AsyncIterator[Pool]:
    async with empty_pool(settings, "survey") as empty:
        yield empty


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def message(pool: Pool, number: int, days: float) -> None:
    await pool.execute(
        "INSERT INTO viewer_message (reference, channel, language, person, sealed, created_at)"
        " VALUES ($1, 'email', 'sv', $2, 'x', $3)",
        f"ref-{number}",
        PERSON,
        ago(days),
    )


async def comment(pool: Pool, number: int, days: float, *, erased: bool = False) -> None:
    await pool.execute(
        "INSERT INTO response (response_id, revision, score, comment_sealed, erased, answered_at, changed_at)"
        " VALUES ($1, 1, 2, 'x', $2, $3, $3)",
        UUID(int=number),
        erased,
        ago(days),
    )


async def wish(pool: Pool, number: int, days: float, case: tuple[str, float | None] | None = None) -> None:
    await pool.execute(
        "INSERT INTO contact_wish (response_id, sealed, consent_version, given_at) VALUES ($1, 'x', 'v1', $2)",
        UUID(int=number),
        ago(days),
    )
    if case is not None:
        state, resolved = case
        await pool.execute(
            "INSERT INTO feedback_case (case_id, revision, response_id, response_revision, state, opened_because, desk,"
            " occurred_on, reasons, commented, wants_contact, contested, opened_at, first_due_at, changed_at, delivery,"
            " resolved_at) VALUES ($1, 1, $2, 1, $3, '{}', '', now(), '{}', false, true, false, now(), now(), now(),"
            " '{}', $4)",
            UUID(int=number),
            str(UUID(int=number)),
            state,
            None if resolved is None else ago(resolved),
        )


async def run(pool: Pool, rules: Retention, batch: int = 1000) -> dict[str, int]:
    async with pool.acquire() as connection:
        due = await rules.due(connection)
        gone = await rules.run(connection, batch=batch)
        assert gone == due
        assert set((await rules.due(connection)).values()) == {0}
        return due


async def test_old_messages_go_in_batches_and_young_ones_stay(notifier: Pool, settings: Settings) -> None:
    for number in range(7):
        await message(notifier, number, 30.1)
    await message(notifier, 8, 29.9)
    assert await run(notifier, of_notifier(settings), batch=3) == {
        "viewer_messages": 7,
        "secrets": 0,
        "unreachable": 0,
    }
    assert [r["reference"] for r in await notifier.fetch("SELECT reference FROM viewer_message")] == ["ref-8"]


async def test_a_hopeless_address_goes_when_it_is_tried_again(notifier: Pool, settings: Settings) -> None:
    for number in range(2):
        await notifier.execute(
            "INSERT INTO unreachable VALUES ($1, 'failed 5.1.1', now(), $2)", bytes([number]) * 16, ago(number * 2 - 1)
        )
    assert (await run(notifier, of_notifier(settings)))["unreachable"] == 1
    assert await notifier.fetchval("SELECT person FROM unreachable") == bytes(16)


async def test_a_dry_run_changes_nothing(notifier: Pool, settings: Settings) -> None:
    await message(notifier, 1, 400)
    async with notifier.acquire() as connection:
        assert (await of_notifier(settings).due(connection))["viewer_messages"] == 1
    assert await notifier.fetchval("SELECT count(*) FROM viewer_message") == 1


async def test_of_two_processes_one_deletes_at_a_time(notifier: Pool, settings: Settings) -> None:
    rules = of_notifier(settings)
    async with notifier.acquire() as other, notifier.acquire() as connection:
        await other.execute("SELECT pg_advisory_lock(hashtext('kvittera retention notifier'))")
        assert await rules.run(connection) is None
        await other.execute("SELECT pg_advisory_unlock(hashtext('kvittera retention notifier'))")
        assert await rules.run(connection) == {"viewer_messages": 0, "secrets": 0, "unreachable": 0}


async def test_old_comments_go_and_their_scores_stay(survey: Pool, settings: Settings) -> None:
    await comment(survey, 1, 401)
    await comment(survey, 2, 399)
    await comment(survey, 3, 1, erased=True)
    assert (await run(survey, of_survey(settings)))["comments"] == 2
    rows = await survey.fetch("SELECT score, comment_sealed FROM response ORDER BY response_id")
    assert [tuple(r) for r in rows] == [(2, None), (2, b"x"), (2, None)]


async def test_a_contact_wish_stays_while_its_case_is_open_and_ninety_days_after(
    survey: Pool, settings: Settings
) -> None:
    for number in range(1, 6):
        await comment(survey, number, 1)
    await wish(survey, 1, 91)
    await wish(survey, 2, 89)
    await wish(survey, 3, 400, ("waiting", None))
    await wish(survey, 4, 400, ("resolved", 89))
    await wish(survey, 5, 400, ("resolved", 91))
    assert (await run(survey, of_survey(settings)))["contact_wishes"] == 2
    rows = await survey.fetch("SELECT response_id FROM contact_wish ORDER BY 1")
    assert [r["response_id"].int for r in rows] == [2, 3, 4]


@pytest.mark.parametrize("key", ["", "ab" * 32])
async def test_the_command_deletes_nothing_without_the_key_of_the_installation_and_counts_all_the_same(
    survey: Pool, settings: Settings, key: str
) -> None:
    await comment(survey, 1, days=401)
    await survey.execute("INSERT INTO person_key (person, wrapped, sealed_by) VALUES ($1, 'x', 'another')", PERSON)
    without = settings.model_copy(update={"sealing_key": SecretStr(key)})
    with pytest.raises(MustStop, match="KVITTERA_SEALING_KEY"):
        await _run(without, "survey", dry_run=False)
    assert ((await _run(without, "survey", dry_run=True)) or {})["comments"] == 1
