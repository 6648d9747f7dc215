"""A driver reads own praise at once, and nobody else does."""

import pytest
from starlette.applications import Starlette

from services.chassis.postgres import Pool
from services.survey.praise.desk import PraiseDesk
from services.survey.praise.rules import Act
from tests.answers import answered
from tests.asgi import Reply, ask
from tests.members import LEAD
from tests.praising import SEAL, desk_of, pages_of, praised

pytestmark = pytest.mark.service("survey")


@pytest.fixture
def desk(pool: Pool) -> PraiseDesk:
    return desk_of(pool)


@pytest.fixture
def app(pool: Pool) -> Starlette:
    return pages_of(pool)


async def own_page(app: Starlette, member: str) -> Reply:
    return await ask(app, "GET", "/praise/mine", headers=[("x-member", member)])


async def test_a_driver_reads_own_praise_at_once_scrubbed_and_with_the_day_only(pool: Pool, app: Starlette) -> None:
    await praised(pool)
    await praised(pool, delivery={"driver": "DRV-2"}, comment="Till en annan")
    reply = await own_page(app, "driver-1")
    text = reply.text
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    assert "Ringde" in text
    assert "Delivery of 13 Oct<" in text
    assert "Till en annan" not in text
    assert "174 06 05" not in text


async def test_what_was_declined_or_disputed_is_not_on_the_drivers_page(
    pool: Pool, desk: PraiseDesk, app: Starlette
) -> None:
    declined, disputed = await praised(pool), await praised(pool, comment="Fel förare")
    await desk.act(LEAD, declined, Act.DECLINE, revision=1)
    await desk.act(LEAD, disputed, Act.PASS_ON, revision=1)
    await desk.act(LEAD, disputed, Act.DISPUTE, revision=2, evidence="Jag var ledig")
    assert "Nothing was written" in (await own_page(app, "driver-1")).text


async def test_a_comment_that_changed_unseen_is_not_on_the_drivers_page(pool: Pool, app: Starlette) -> None:
    praise_id = await praised(pool)
    await answered(pool, SEAL, response_id=praise_id, revision=2, comment="Något helt annat")
    text = (await own_page(app, "driver-1")).text
    assert "Nothing was written" in text
    assert "helt annat" not in text


@pytest.mark.parametrize(("member", "status"), [("lead-1", 403), ("reader-1", 403), ("", 401)])
async def test_nobody_else_reads_a_drivers_praise(pool: Pool, app: Starlette, member: str, status: int) -> None:
    await praised(pool)
    reply = await own_page(app, member)
    assert reply.status == status
    assert "Ringde" not in reply.text
