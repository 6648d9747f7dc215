"""The outbox viewer and decisions over HTTP, asked with what no page of ours asks."""

import pytest
from starlette.applications import Starlette

from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.notifier.http import routes
from tests.asgi import ask

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
