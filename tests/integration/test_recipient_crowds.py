"""Many recipients at once, and PostgreSQL away: who is not served is told so, and nothing half is kept."""

import asyncio
import re
from collections.abc import Sequence

import asyncpg
import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.recorded import Page
from services.survey.answers.responses import token_hash
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.survey_app import invite, post, survey

pytestmark = pytest.mark.service("survey")

NOT_SAVED = "Svaret är inte sparat än."


async def test_who_looks_at_the_same_time_sees_each_their_own_page_from_few_statements(
    pool: Pool, app: SurveyRoutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [f"Butik {n}" for n in range(20)]
    facts = [{"delivery_id": f"D-{n}", "merchant_name": shop} for n, shop in enumerate(shops)]
    tokens = [await invite(pool, delivery=delivery) for delivery in facts]
    asked: list[int] = []
    look_up = app.answers._looks._flush

    async def counted(batch: Sequence[bytes]) -> Sequence[Page | None]:
        asked.append(len(batch))
        return await look_up(batch)

    monkeypatch.setattr(app.answers._looks, "_flush", counted)
    looks = [*tokens, tokens[0], new_token()]
    replies = await asyncio.gather(*(ask(app, "GET", f"/r/{token}") for token in looks))
    for shop, reply in zip([*shops, shops[0]], replies, strict=False):
        assert re.findall(r"Butik \d+", reply.text)[0] == shop
        assert len(set(re.findall(r"Butik \d+", reply.text))) == 1
    assert [r.status for r in replies] == [200] * 21 + [404]
    assert asked == [22, 1], "the unknown one once more, for its invitation may have come meanwhile"


async def test_too_many_looks_at_once_are_told_to_come_back(
    pool: Pool, app: SurveyRoutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await invite(pool)
    monkeypatch.setattr(app.answers._looks, "_queue", 0)
    reply = await ask(app, "GET", f"/r/{token}")
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")


async def test_who_comes_when_too_many_wait_is_told_so_and_nothing_is_kept(pool: Pool, settings: Settings) -> None:
    crowded = survey(pool, settings, queue=1)
    tokens = [await invite(pool, delivery={"delivery_id": f"D-{n}"}) for n in range(4)]
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE response IN EXCLUSIVE MODE")
            in_flight = asyncio.create_task(post(crowded, tokens[0], ("score", "4")))
            await asyncio.sleep(0.1)
            waiting = asyncio.create_task(post(crowded, tokens[1], ("score", "4")))
            await asyncio.sleep(0.1)
            refused = await post(crowded, tokens[2], ("score", "4"), as_json=True)
            shown = await post(crowded, tokens[3], ("score", "4"))
        assert (await in_flight).status == 303
        assert (await waiting).status == 303
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert (shown.status, shown.headers["retry-after"]) == (503, "2")
    assert NOT_SAVED in shown.text
    assert re.search(r'value="4" required checked', shown.text)
    assert await pool.fetchval("SELECT count(*) FROM response") == 2


async def test_too_many_at_once_are_kept_or_told_to_come_back_and_all_are_kept_when_they_do(
    pool: Pool, settings: Settings
) -> None:
    crowded = survey(pool, settings, queue=8)
    tokens = [await invite(pool, delivery={"delivery_id": f"D-{n}"}) for n in range(40)]
    async with pool.acquire() as connection, asyncio.TaskGroup() as group, connection.transaction():
        await connection.execute("LOCK TABLE response IN EXCLUSIVE MODE")
        posting = {t: group.create_task(post(crowded, t, ("score", "4"), as_json=True)) for t in tokens}
        await asyncio.sleep(0.3)
    replies = {token: task.result() for token, task in posting.items()}
    kept = [token_hash(t) for t, r in replies.items() if r.status == 200]
    refused = [t for t, r in replies.items() if r.status == 503]
    assert len(kept) in {8, 9}  # the queue, and what was on its way already
    assert len(kept) + len(refused) == 40
    assert {replies[t].headers["retry-after"] for t in refused} == {"2"}
    rows = await pool.fetch(
        "SELECT token_sha256 FROM response AS r JOIN invitation AS i ON i.invitation_id = r.response_id"
        " JOIN outbox AS o ON o.key = convert_to(r.response_id::text, 'UTF8')"
    )
    assert sorted(r["token_sha256"] for r in rows) == sorted(kept)
    for token in refused:
        assert (await post(crowded, token, ("score", "4"), as_json=True)).status == 200


@pytest.mark.parametrize("how", ["gone", "nobody listens", "read-only", "hangs up"])
async def test_with_postgres_away_nothing_is_acknowledged(
    pool: Pool, settings: Settings, how: str, unused_tcp_port: int
) -> None:
    token = await invite(pool)
    used = pool
    if how == "gone":
        pool.terminate()
    elif how == "nobody listens":
        used = await asyncpg.create_pool(f"postgresql://postgres@127.0.0.1:{unused_tcp_port}/x", min_size=0)
    elif how == "read-only":
        used = await asyncpg.create_pool(
            settings.postgres_dsn.get_secret_value(),
            min_size=0,
            server_settings={"search_path": "survey", "default_transaction_read_only": "on"},
        )
    else:
        await pool.execute(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;"
            "CREATE TRIGGER die BEFORE INSERT ON response FOR EACH ROW EXECUTE FUNCTION die()"
        )
    app = survey(used, settings)
    refused = await post(app, token, ("score", "4"), as_json=True)
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    shown = await post(app, token, ("score", "4"))
    assert (shown.status, shown.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert NOT_SAVED in shown.text
    looked = await ask(app, "GET", f"/r/{token}?lang=sv")
    away = how in {"gone", "nobody listens"}
    assert (looked.status, "Det går inte just nu." in looked.text) == ((503, True) if away else (200, False))
    assert not (away and NOT_SAVED in looked.text)  # who only looks has answered nothing
    used.terminate()
