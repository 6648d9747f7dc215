"""Offers of a public review are stored before there is an answer, and the report sees whether scores matter."""

import re
import uuid
from datetime import UTC, datetime

import pytest

from schemas.invitation import InvitationDecided
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.survey.reviews.offer import PlainLink, ReviewPolicies
from services.survey.reviews.report import make_report
from services.survey.reviews.stored import Reviews
from tests.asgi import ask
from tests.builders import NOON, decided
from tests.survey_app import invite, post, survey

pytestmark = pytest.mark.service("survey")

SEAL = Seal(b"k" * 32)
HALF = PlainLink(kind="link", site="Omdömen", url="https://omdomen.example/?ref={reference}", rate=0.5)
POLICIES = ReviewPolicies(default=HALF, merchants={"bokladan": "none"})


def invited(n: int, merchant: str = "fjallbod") -> Received[InvitationDecided]:
    return Received(
        decided(invitation_id=str(uuid.UUID(int=n)), delivery={"delivery_id": f"D-{n}", "merchant_id": merchant}),
        None,
        NOON,
    )


async def learn(pool: Pool, *received: Received[InvitationDecided], policies: ReviewPolicies = POLICIES) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await Reviews(policies, SEAL).decide(connection, received)


async def answer(pool: Pool, invitation: uuid.UUID, score: int) -> None:
    await pool.execute(
        "INSERT INTO response (response_id, revision, score, answered_at, changed_at) VALUES ($1, 1, $2, $3, $3)",
        invitation,
        score,
        datetime.now(UTC),
    )


async def report(pool: Pool, seal: Seal = SEAL) -> tuple[int, int, bool]:
    async with pool.acquire() as connection:
        made = await make_report(connection, seal)
    return made.offers, made.differing, made.sound


async def test_an_offer_is_decided_once_whatever_the_policy_says_later(pool: Pool) -> None:
    await learn(pool, *(invited(n) for n in range(100)), invited(1))
    before = await pool.fetch("SELECT * FROM review_offer ORDER BY invitation_id")
    everybody = ReviewPolicies(default=HALF.model_copy(update={"rate": 1.0}))
    await learn(pool, *(invited(n) for n in range(100)), policies=everybody)
    assert await pool.fetch("SELECT * FROM review_offer ORDER BY invitation_id") == before
    assert {r["rate"] for r in before} == {0.5}
    assert 30 < sum(r["offered"] for r in before) < 70


async def test_a_merchant_that_wants_none_has_none(pool: Pool) -> None:
    await learn(pool, invited(1, "bokladan"))
    assert await pool.fetchval("SELECT count(*) FROM review_offer") == 0


async def test_the_link_is_for_those_with_an_offer_and_tells_no_delivery_and_no_invitation(pool: Pool) -> None:
    await learn(pool, *(invited(n) for n in range(20)))
    reviews = Reviews(POLICIES, SEAL)
    offered = {r["invitation_id"]: r["offered"] for r in await pool.fetch("SELECT * FROM review_offer")}
    links = {
        i: await reviews.link(pool, invitation_id=i, merchant_id="fjallbod", language="sv")
        for i in [*offered, uuid.uuid4()]
    }
    assert {i for i, link in links.items() if link is not None} == {i for i, o in offered.items() if o}
    urls = {link.url for link in links.values() if link is not None}
    assert len(urls) == sum(offered.values())
    assert not [u for u in urls for i in offered if str(i) in u or i.hex in u]


async def test_the_report_calls_our_own_offers_sound_and_finds_gating_and_meddling(pool: Pool) -> None:
    await learn(pool, *(invited(n) for n in range(600)))
    for n in range(600):
        await answer(pool, uuid.UUID(int=n), n % 5 + 1)
    assert await report(pool) == (600, 0, True)
    # Somebody offers the content a review, and the discontent none.
    await pool.execute(
        "UPDATE review_offer SET offered = (score >= 4) FROM response WHERE response_id = invitation_id AND score <> 3"
    )
    offers, differing, sound = await report(pool)
    assert (offers, sound) == (600, False)
    assert differing > 50


async def test_the_report_with_another_key_tells_that_offers_differ(pool: Pool) -> None:
    await learn(pool, *(invited(n) for n in range(50)))
    assert (await report(pool, Seal(b"o" * 32)))[2] is False


async def test_the_offer_on_the_page_is_the_same_to_the_byte_whatever_was_answered(
    pool: Pool, settings: Settings
) -> None:
    everybody = ReviewPolicies(default=HALF.model_copy(update={"rate": 1.0}))
    app, token = survey(pool, settings), await invite(pool)
    app.reviews = Reviews(everybody, SEAL)
    invitation = str(await pool.fetchval("SELECT invitation_id FROM invitation"))
    await learn(pool, Received(decided(invitation_id=invitation), None, NOON), policies=everybody)
    offers = []
    for said in (*(("score", str(n)) for n in range(1, 6)), ("contested", "1")):
        await post(app, token, said)
        page = await ask(app, "GET", f"/r/{token}?done=1&lang=sv")
        offers.append(re.findall(rb'<section class="ruled">\s*<p><a class="review".*?</section>', page.body, re.DOTALL))
    assert len(offers[0]) == 1
    assert offers == [offers[0]] * 6
