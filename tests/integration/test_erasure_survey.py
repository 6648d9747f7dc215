"""Erasing a person at the survey: no words and no link are left, scores stay, and no replay brings anything back."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from schemas.invitation import InvitationDecided
from schemas.recipient import PersonErased
from services.chassis.failures import Poison
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Database, Pool, named_sql
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.planned import new_token
from services.survey.answers.handlers import Answers, LearnInvitations
from services.survey.answers.recorded import PLAIN, Outcome, Posted
from services.survey.answers.responses import Answer, Contact, token_hash
from services.survey.answers.sealing_answers import AnswerSeal
from services.survey.comments.texts import SealedTexts
from services.survey.privacy.erasure import ErasePersons
from tests.builders import NOON, decided
from tests.conftest import SEALING_KEY
from tests.survey_app import told
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("survey")

SEAL = Seal(bytes.fromhex(SEALING_KEY))
ASTRID, BO = "a1" * 16, "b0" * 16
WORDS = Answer(
    score=2,
    comment="CANARY-comment",
    wants_contact=True,
    contact=Contact("CANARY-name", "+46701740634"),
)


@pytest.fixture
def answers(pool: Pool, settings: Settings) -> Answers:
    metrics = Metrics()
    return Answers(pool, SEAL, Relay(settings, "survey", metrics), metrics, lambda: datetime.now(UTC))


def invitation(token: str, person: str | None = ASTRID, at: datetime = NOON) -> InvitationDecided:
    return decided(
        invitation_id=str(uuid.uuid5(uuid.NAMESPACE_OID, token)),
        token_sha256=token_hash(token).hex(),
        person_id=person,
        expires_at=datetime.now(UTC) + timedelta(days=14),
        delivery={"delivery_id": f"D-{token}", "occurred_at": at},
    )


async def learn(pool: Pool, *messages: InvitationDecided) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await LearnInvitations(named_sql("services.survey"))(connection, [Received(m, None, NOON) for m in messages])


async def invite(pool: Pool, person: str | None = ASTRID) -> str:
    token = new_token()
    await learn(pool, invitation(token, person))
    return token


async def erase(pool: Pool, person: str = ASTRID, at: datetime = NOON + timedelta(days=1)) -> None:
    erased = PersonErased(person_id=person, requested_at=at)
    async with pool.acquire() as connection, connection.transaction():
        await ErasePersons(PersonKeys(SEAL))(connection, [Received(erased, None, NOON)])


async def readable(pool: Pool) -> list[str]:
    """Every sealed thing in any table that any key that is left opens."""
    keys = PersonKeys(SEAL)
    rows = await pool.fetch("SELECT person, wrapped FROM person_key WHERE wrapped IS NOT NULL")
    boxes = [SEAL, *(keys._unwrap(r["person"], r["wrapped"]) for r in rows)]
    things = await pool.fetch(
        "SELECT comment_sealed AS sealed, '' AS prefix FROM response WHERE comment_sealed IS NOT NULL"
        " UNION ALL SELECT sealed, 'contact ' FROM contact_wish"
    )
    tokens = await pool.fetch("SELECT encode(token_sha256, 'hex') AS row FROM invitation")
    found = []
    for thing in things:
        for box in boxes:
            for row in tokens:
                try:
                    found.append(box.open(thing["sealed"], thing["prefix"] + row["row"]))
                except Poison:
                    continue
    return found


async def test_words_are_sealed_with_the_key_of_their_person(pool: Pool, answers: Answers) -> None:
    await answers.record(await invite(pool), WORDS)
    await answers.record(await invite(pool, BO), Answer(score=5, comment="Bos ord"))
    await answers.record(await invite(pool, None), Answer(score=5, comment="Någons ord"))
    stored = await everything_stored(pool)
    assert "CANARY" not in stored
    assert b"CANARY".hex() not in stored
    assert await pool.fetchval("SELECT count(*) FROM person_key") == 2
    ids = [r["response_id"] for r in await pool.fetch("SELECT response_id FROM response")]
    async with pool.acquire() as connection:
        texts = await SealedTexts(SEAL).of(connection, ids)
    assert {c.text for c in texts.values()} == {"CANARY-comment", "Bos ord", "Någons ord"}


async def test_words_for_a_link_that_becomes_known_while_they_are_sealed_are_taken_at_the_next_try(
    pool: Pool, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, sealed = new_token(), AnswerSeal.close

    async def known_meanwhile(seal: AnswerSeal, connection: Database, posted: Sequence[Posted]) -> list[Posted]:
        closed = await sealed(seal, connection, posted)
        await learn(pool, invitation(token))
        return closed

    monkeypatch.setattr(AnswerSeal, "close", known_meanwhile)
    assert (await answers.record(token, WORDS)).outcome is Outcome.UNKNOWN
    assert (await answers.record(token, WORDS)).outcome is Outcome.KEPT
    async with pool.acquire() as connection:
        answered = uuid.UUID((await told(pool))[0].response_id)
        [comment] = (await SealedTexts(SEAL).of(connection, [answered])).values()
    assert comment.text == "CANARY-comment"


async def test_an_answer_without_words_costs_no_look_up_and_many_with_words_cost_one(
    pool: Pool, answers: Answers
) -> None:
    tokens = [await invite(pool) for _ in range(3)]
    await answers.record(tokens[0], WORDS)  # the person has a key from now on
    posted = [answers._posted(token_hash(t), WORDS, "web", PLAIN) for t in tokens]
    silent = [answers._posted(token_hash(t), Answer(score=3), "web", PLAIN) for t in tokens]
    asked: list[str] = []
    async with pool.acquire() as connection:
        with connection.query_logger(lambda query: asked.append(query.query)):
            await answers._answer_seal.close(connection, silent)
            assert asked == []
            sealed = await answers._answer_seal.close(connection, [*posted, *silent])
    assert len(asked) == 1
    assert [p.sealed_comment is not None for p in sealed] == [True] * 3 + [False] * 3


async def test_an_erasure_leaves_no_words_and_no_link_and_keeps_the_score(pool: Pool, answers: Answers) -> None:
    token, open_link, his = await invite(pool), await invite(pool), await invite(pool, BO)
    await answers.record(token, WORDS)
    await answers.record(his, Answer(score=5, comment="Bos ord"))
    await erase(pool)
    assert await readable(pool) == ["Bos ord"]
    assert [await answers.page(t) is None for t in (token, open_link, his)] == [True, True, False]
    assert await pool.fetchval("SELECT count(*) FROM contact_wish") == 0
    digests = "SELECT count(*) FROM response WHERE comment_digest IS NOT NULL"
    assert await pool.fetchval(digests) == 1
    assert [(m.revision, m.score, m.commented, m.wants_contact, m.erased) for m in await told(pool)] == [
        (1, 2, True, True, False),
        (1, 5, True, False, False),
        (2, 2, False, False, True),
    ]


async def test_an_erased_link_takes_no_answer(pool: Pool, answers: Answers) -> None:
    token = await invite(pool)
    await erase(pool)
    recorded = await answers.record(token, WORDS)
    assert recorded.outcome.name == "UNKNOWN"
    assert await pool.fetchval("SELECT count(*) FROM response") == 0


async def test_erasing_twice_and_an_old_erasure_told_again_change_nothing(pool: Pool, answers: Answers) -> None:
    await answers.record(await invite(pool), WORDS)
    await erase(pool)
    before = await footprint(pool)
    await erase(pool)
    await erase(pool, at=NOON)
    assert {k: v for k, v in (await footprint(pool)).items() if k != "person_key"} == {
        k: v for k, v in before.items() if k != "person_key"
    }


async def test_a_replay_of_every_invitation_brings_nothing_back(pool: Pool, answers: Answers) -> None:
    token, never_learned, of_that_moment = new_token(), new_token(), new_token()
    await learn(pool, invitation(token))
    await answers.record(token, WORDS)
    await erase(pool)
    # The first was known; the others are from before the erasure, one of its very moment, and told only now.
    late = invitation(of_that_moment, at=NOON + timedelta(days=1))
    await learn(pool, invitation(token), invitation(never_learned), late)
    assert await answers.page(token) is None
    assert await answers.page(never_learned) is None
    assert await answers.page(of_that_moment) is None
    assert await pool.fetchval("SELECT count(*) FROM invitation") == 1
    assert await readable(pool) == []


async def test_a_delivery_after_the_erasure_is_a_new_relation(pool: Pool, answers: Answers) -> None:
    await answers.record(await invite(pool), WORDS)
    await erase(pool)
    later = new_token()
    await learn(pool, invitation(later, at=NOON + timedelta(days=2)))
    await answers.record(later, Answer(score=5, comment="Mycket bättre"))
    assert await readable(pool) == ["Mycket bättre"]
    await erase(pool, at=NOON + timedelta(days=3))
    assert await readable(pool) == []
    assert [m.erased for m in await told(pool)] == [False, True, False, True]


@pytest.mark.parametrize("first", ["erasure", "invitation"])
async def test_an_invitation_that_becomes_known_at_the_moment_of_the_erasure_has_no_link(
    pool: Pool, answers: Answers, first: str
) -> None:
    token = new_token()
    learned, erased = invitation(token), PersonErased(person_id=ASTRID, requested_at=NOON + timedelta(days=1))
    learning = partial(LearnInvitations(named_sql("services.survey")), decided=[Received(learned, None, NOON)])
    erasing = partial(ErasePersons(PersonKeys(SEAL)), erasures=[Received(erased, None, NOON)])
    one, other = (erasing, learning) if first == "erasure" else (learning, erasing)

    async def at_the_same_time() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await other(connection)

    async with pool.acquire() as connection, connection.transaction():
        await one(connection)
        second = asyncio.create_task(at_the_same_time())
        await asyncio.sleep(0.3)
    await second
    assert (await answers.record(token, WORDS)).outcome is Outcome.UNKNOWN
    assert await answers.page(token) is None


async def test_an_erasure_heard_late_leaves_the_new_relation_alone(pool: Pool, answers: Answers) -> None:
    old, new = new_token(), new_token()
    await learn(pool, invitation(old), invitation(new, at=NOON + timedelta(days=2)))
    for token in (old, new):
        await answers.record(token, Answer(score=4), PLAIN)
    await erase(pool)
    assert await answers.page(old) is None
    assert await answers.page(new) is not None
    erased = {e.delivery.delivery_id: e.erased for e in await told(pool)}
    assert erased == {f"D-{old}": True, f"D-{new}": False}


@pytest.mark.parametrize("person_id", ["not-hex", "ab" * 15, "AB" * 16])
async def test_an_erasure_of_nobody_we_can_know_is_poison(pool: Pool, person_id: str) -> None:
    with pytest.raises(Poison, match="no_person_id"):
        await erase(pool, person_id)
