"""The outbox viewer and decisions, over HTTP asked with what no page of ours asks, and by an operator's command."""

import re

import pytest
from starlette.applications import Starlette

from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.cli.messages import _as_text, _latest
from services.notifier.channels.viewer import OutboxViewer
from services.notifier.http import routes
from tests.asgi import ask
from tests.conftest import SEALING_KEY
from tests.sending import dispatcher, plan, work

pytestmark = pytest.mark.service("notifier")


async def always() -> None:
    return None


@pytest.fixture
def app(pool: Pool) -> Starlette:
    return make_app(routes(pool, Seal(bytes(32))), ready=always, metrics=Metrics())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/outbox/messages?after=99999999999999999999999999", 200),
        ("/outbox/messages?after=-99999999999999999999999999", 200),
        ("/outbox/messages?limit=-1", 200),
        ("/outbox/messages?limit=many", 400),
        ("/decisions/a\x00b", 404),
    ],
)
async def test_numbers_and_names_that_no_table_holds_find_nothing(app: Starlette, path: str, status: int) -> None:
    assert (await ask(app, "GET", path)).status == status


async def test_an_operator_reads_the_newest_messages_with_the_links_to_answer_by(
    pool: Pool, settings: Settings
) -> None:
    assert await _latest(settings, 5) == []
    await plan(pool, 3)
    await work(dispatcher(pool, settings, OutboxViewer(pool, Seal(bytes.fromhex(SEALING_KEY)))))

    [newest, before] = await _latest(settings, 2)

    assert str(newest["created_at"]) >= str(before["created_at"])
    assert newest["reference"] != before["reference"]
    told = _as_text(newest).splitlines()
    assert re.fullmatch(r"20\S+  email to astrid\.canary@mottagare\.example", told[0])
    assert re.fullmatch(r"link: http://127\.0\.0\.1/r/[\w-]{22}", told[-1])
