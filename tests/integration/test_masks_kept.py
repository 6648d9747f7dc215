"""A person's own name stays masked in the comment when the contact wish that told it goes."""

from datetime import timedelta

import pytest

from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.survey.comments.index import IndexComments
from services.survey.comments.languages import Languages
from services.survey.comments.query import Search
from services.survey.comments.search import CommentSearch, _hit
from services.survey.privacy.retention import retention
from services.survey.recipient.http import SurveyRoutes
from tests.asgi import ask
from tests.builders import NOON
from tests.praising import TEXTS, board_now, desk_of, hung, pages_of
from tests.survey_app import invite, post, told

pytestmark = pytest.mark.service("survey")

PERSON = "5e" * 16
COMMENT = "Toppen! Anna Lind på tredje våningen tackar, hälsar Annas mamma"
WISH = (("wants_contact", "1"), ("contact_name", "Anna Lind"), ("contact_address", "070-174 06 34"))


async def shown(pool: Pool) -> str:
    """The one comment as a search of staff shows it."""
    async with pool.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT response_id, answered_at AS said_at, score, coalesce(reasons, '{}') AS reasons, '' AS terminal,"
            " '' AS service_point, language FROM response"
        )
        assert row is not None
        comment = (await TEXTS.of(connection, [row["response_id"]]))[row["response_id"]]
    return "".join(p.text if p.mask is None else "[]" for p in _hit(row, comment).pieces)


async def masked_words(pool: Pool) -> list[int] | None:
    words: list[int] | None = await pool.fetchval("SELECT masked_words FROM response")
    return words


async def run_retention(pool: Pool, settings: Settings) -> None:
    async with pool.acquire() as connection:
        assert (await retention(settings).run(connection) or {})["contact_wishes"] == 1
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0


async def test_a_name_stays_masked_when_the_wish_is_taken_back(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool, person_id=PERSON)
    await post(app, token, ("score", "5"), ("comment", COMMENT), *WISH)
    assert await shown(pool) == "Toppen! [] [] på tredje våningen tackar, hälsar [] mamma"
    assert await masked_words(pool) is None
    await post(app, token, ("wants_contact", "0"))
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0
    assert await shown(pool) == "Toppen! [] [] på tredje våningen tackar, hälsar [] mamma"
    assert await masked_words(pool) == [1, 2, 8]


async def test_the_names_of_every_wish_stay_masked_when_another_takes_its_place(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), ("comment", COMMENT), *WISH)
    await post(app, token, ("wants_contact", "1"), ("contact_name", "våningen"), ("contact_address", "a@b.example"))
    await post(app, token, ("wants_contact", "1"), ("contact_name", ""), ("contact_address", "a@b.example"))
    assert await shown(pool) == "Toppen! [] [] på tredje [] tackar, hälsar [] mamma"


async def test_a_name_stays_masked_in_the_comment_that_comes_with_the_word_that_takes_the_wish_back(
    app: SurveyRoutes, pool: Pool
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), ("comment", "Bra"), *WISH)
    await post(app, token, ("comment", "Bra, säger Anna"), ("wants_contact", "0"))
    assert await shown(pool) == "Bra, säger []"


async def test_another_comment_is_not_masked_by_the_words_of_the_one_before(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), ("comment", COMMENT), *WISH)
    await post(app, token, ("wants_contact", "0"))
    await post(app, token, ("comment", COMMENT))
    assert await masked_words(pool) == [1, 2, 8]
    await post(app, token, ("comment", "Kom i tid"))
    assert await shown(pool) == "Kom i tid"


async def test_a_name_stays_masked_when_the_time_of_the_wish_is_over(
    app: SurveyRoutes, pool: Pool, settings: Settings
) -> None:
    token = await invite(pool, person_id=PERSON)
    await post(app, token, ("score", "5"), ("comment", COMMENT), *WISH)
    await pool.execute("UPDATE contact_wish SET given_at = given_at - $1::interval", timedelta(days=91))
    await run_retention(pool, settings)
    assert await shown(pool) == "Toppen! [] [] på tredje våningen tackar, hälsar [] mamma"


async def test_a_comment_beside_a_wish_that_cannot_be_read_stays_masked_whole(
    app: SurveyRoutes, pool: Pool, settings: Settings
) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), ("comment", "Tack från Anna"), *WISH)
    await pool.execute(
        "UPDATE contact_wish SET sealed = 'damaged', given_at = given_at - $1::interval", timedelta(days=91)
    )
    await run_retention(pool, settings)
    assert await shown(pool) == "[] [] []"


async def test_a_damaged_key_of_one_person_masks_that_comment_whole_and_holds_up_no_other(
    app: SurveyRoutes, pool: Pool, settings: Settings
) -> None:
    for person in (PERSON, "6f" * 16):
        token = await invite(pool, person_id=person, delivery={"delivery_id": person})
        await post(app, token, ("score", "5"), ("comment", "Tack från Anna"), *WISH)
    await pool.execute("UPDATE person_key SET wrapped = 'damaged' WHERE person = decode($1, 'hex')", PERSON)
    await pool.execute("UPDATE contact_wish SET given_at = given_at - $1::interval", timedelta(days=91))
    async with pool.acquire() as connection:
        assert (await retention(settings).run(connection) or {})["contact_wishes"] == 2
    rows = await pool.fetch(
        "SELECT i.person_id, r.masked_words[1:3] AS words FROM response AS r JOIN invitation AS i"
        " ON i.invitation_id = r.response_id"
    )
    assert {r["person_id"]: r["words"] for r in rows} == {PERSON: [0, 1, 2], "6f" * 16: [2]}


async def test_the_masks_go_with_the_comment(app: SurveyRoutes, pool: Pool, settings: Settings) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), ("comment", COMMENT), *WISH)
    await post(app, token, ("wants_contact", "0"))
    await pool.execute("UPDATE response SET changed_at = changed_at - $1::interval", timedelta(days=401))
    async with pool.acquire() as connection:
        await retention(settings).run(connection)
    assert await masked_words(pool) is None


async def test_a_name_shows_nowhere_after_its_wish_has_gone(pool: Pool, settings: Settings) -> None:
    for n in range(10):
        await hung(pool, desk_of(pool), comment=f"Snällt. Astrid Canary {n}", contact_name="Astrid Canary")
    await pool.execute("UPDATE contact_wish SET given_at = now() - interval '91 days'")
    async with pool.acquire() as connection:
        await retention(settings).run(connection)
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0
    quotes = (await board_now(pool)).quotes
    assert {q.pieces[0].text for q in quotes} == {"Snällt. "}
    assert not [p for q in quotes for p in q.pieces if "Astrid" in p.text or "Canary" in p.text]
    for member, address in (("lead-1", "/praise?show=on_board"), ("driver-1", "/praise/mine")):
        page = (await ask(pages_of(pool), "GET", address, headers=[("x-member", member)])).text
        assert "Snällt." in page
        assert "Astrid" not in page
        assert "Canary" not in page


async def test_a_name_whose_wish_was_taken_back_cannot_be_searched(app: SurveyRoutes, pool: Pool) -> None:
    token = await invite(pool)
    await post(app, token, ("score", "5"), ("comment", COMMENT), *WISH)
    await post(app, token, ("wants_contact", "0"))
    async with pool.acquire() as connection, connection.transaction():
        await IndexComments(TEXTS, Languages())(connection, [Received((await told(pool))[-1], None, NOON)])
    search = CommentSearch(pool, TEXTS)
    assert len((await search.find(Search(text="våningen")))[0]) == 1
    assert (await search.find(Search(text="lind")))[0] == []
