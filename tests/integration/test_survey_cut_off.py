"""PostgreSQL is cut off and says nothing: people are told in time, nothing is promised, and it goes on by itself."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from pydantic import SecretStr

from services.chassis import bounded_waiting
from services.chassis.http import serve
from services.chassis.postgres import Pool, open_pool
from services.chassis.settings import Settings
from services.embedded.ports import free_port
from services.survey.answers import handlers
from services.survey.recipient.http import SurveyRoutes
from tests.cut_servers import postgres_by_line
from tests.harness import until
from tests.network import Line
from tests.survey_app import invite, survey, told

pytestmark = pytest.mark.service("survey")
_NONCE = re.compile(r'name="nonce" value="([^"]+)"')
SOON = 5.0
"""Far less than PostgreSQL's own limits of half a minute and a minute."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The survey's pages over HTTP, on tables that they reach by a line."""

    line: Line
    app: SurveyRoutes
    url: str
    session: aiohttp.ClientSession

    async def opens(self, token: str) -> tuple[int, str | None]:
        """Status of the page, and the nonce that it holds."""
        async with self.session.get(f"{self.url}/r/{token}") as reply:
            found = _NONCE.search(await reply.text())
            return reply.status, found and found[1]

    async def posts(self, token: str, fields: dict[str, str], *, script: bool = True) -> tuple[int, str | None]:
        """Status of a post, and after how many seconds it may be tried again."""
        headers = {"accept": "application/json"} if script else {}
        url = f"{self.url}/r/{token}"
        async with self.session.post(url, data=fields, headers=headers, allow_redirects=False) as reply:
            return reply.status, reply.headers.get("retry-after")


@pytest.fixture
async def scene(settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:  # noqa: ARG001  its tables are empty
    monkeypatch.setattr(handlers, "ANSWERED_WITHIN", 0.5)
    monkeypatch.setattr(bounded_waiting, "_THERE_WITHIN", 0.5)
    port, stop = free_port(), asyncio.Event()
    async with postgres_by_line(settings.postgres_dsn.get_secret_value()) as (line, dsn):
        by_line = await open_pool(settings.model_copy(update={"postgres_dsn": SecretStr(dsn)}), "survey")
        app = survey(by_line, settings)
        serving = asyncio.create_task(serve(app, "127.0.0.1", port, stop, lanes=app.lanes(lambda _: True)))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SOON)) as session:
            scene = Scene(line, app, f"http://127.0.0.1:{port}", session)

            async def is_up() -> bool:
                try:
                    async with session.get(f"{scene.url}/health/live"):
                        return True
                except aiohttp.ClientError:
                    return False

            await until(is_up)
            try:
                yield scene
            finally:
                line.heal()
                stop.set()
                await serving
                by_line.terminate()


async def test_people_are_told_to_come_back_while_postgresql_is_cut_off_and_are_heard_afterwards(
    scene: Scene, pool: Pool
) -> None:
    token, other = await invite(pool), await invite(pool)
    status, nonce = await scene.opens(token)
    assert (status, nonce is not None) == (200, True)
    assert nonce is not None
    scene.line.cut()
    tap = {"nonce": nonce, "lang": "sv", "score": "4"}
    assert await asyncio.gather(
        scene.opens(token),
        scene.opens(other),
        scene.posts(token, tap),
        scene.posts(token, tap, script=False),
        scene.posts(token, {**tap, "part": "preferences", "frequency": "never"}),
        scene.posts(token, {"nonce": nonce, "part": "opened"}),
        scene.posts(f"{token}/unsubscribe", {"List-Unsubscribe": "One-Click"}, script=False),
    ) == [(503, None), (503, None), (503, "2"), (503, "2"), (503, "2"), (204, None), (503, "2")]
    assert await told(pool) == []
    scene.line.heal()

    async def is_shown() -> bool:
        return (await scene.opens(token))[0] == 200

    await until(is_shown, seconds=SOON)
    assert await scene.posts(token, tap) == (200, None)
    assert {answer.score for answer in await told(pool)} == {4}


async def test_readiness_tells_in_time_that_postgresql_is_cut_off_and_that_it_is_back(scene: Scene) -> None:
    answers = scene.app.answers
    assert await answers.can_keep()
    scene.line.cut()
    began = time.monotonic()
    assert [await answers.can_keep() for _ in range(3)] == [False, False, False]
    assert time.monotonic() - began < SOON
    scene.line.heal()
    await until(answers.can_keep, seconds=SOON)
