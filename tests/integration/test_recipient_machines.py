"""Link scanners and other machines that answer: told apart, and never in a person's way."""

import pytest

from services.chassis.postgres import Pool
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.survey_app import invite, post, told
from tests.tables import footprint

pytestmark = pytest.mark.service("survey")


def suspected(app: SurveyRoutes, sign: str) -> float | None:
    return app.metrics.registry.get_sample_value("kvittera_answers_suspected_total", {"sign": sign})


async def test_all_five_links_opened_at_once_and_then_a_post_look_like_a_machine(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    for face in "12345":
        await ask(app, "GET", f"/r/{token}?s={face}")
    await post(app, token, ("score", "1"))
    assert suspected(app, "all_faces") == 1
    await post(app, token, ("score", "1"), as_json=True)  # the person comes, with the same face
    await post(app, token, ("score", "2"), as_json=True)
    assert [(e.revision, e.score, e.suspected_machine) for e in await told(pool)] == [
        (1, 1, True),
        (2, 1, False),
        (3, 2, False),
    ]


async def test_who_follows_the_link_that_nobody_sees_and_posts_looks_like_a_machine(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    before = await footprint(pool)
    assert '<a href="?s=6"></a></div>' in (await ask(app, "GET", f"/r/{token}")).text
    assert " checked>" not in (await ask(app, "GET", f"/r/{token}?s=6")).text
    assert await footprint(pool) == before
    await post(app, token, ("score", "3"))
    assert suspected(app, "hidden_link") == 1
    assert [e.suspected_machine for e in await told(pool)] == [True]


async def test_a_post_at_once_or_with_the_invisible_field_looks_like_a_machine(app: SurveyRoutes, pool: Pool) -> None:
    hasty, greedy, calm = [await invite(pool, delivery={"delivery_id": f"D-{n}"}) for n in range(3)]
    await ask(app, "GET", f"/r/{hasty}")
    await ask(app, "HEAD", f"/r/{calm}")
    await post(app, hasty, ("score", "5"))
    await post(app, greedy, ("score", "5"), ("website", "https://spam.example"), as_json=True)
    await post(app, calm, ("score", "5"), ("website", ""))
    assert [e.suspected_machine for e in await told(pool)] == [True, True, False]
    assert (suspected(app, "too_fast"), suspected(app, "honeypot")) == (1, 1)


async def test_a_machine_after_a_person_does_not_hide_the_persons_equal_answer(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), as_json=True)
    await post(app, token, ("score", "5"), ("website", "x"))
    assert [e.suspected_machine for e in await told(pool)] == [False]
    await post(app, token, ("score", "1"), ("website", "x"))
    assert [e.suspected_machine for e in await told(pool)] == [False, True]
