"""Staff's words to the person who asked to be contacted: sent once, or in doubt for all to see."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.feedback import FeedbackCase
from schemas.response import ResponseRecorded
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.settings import Settings
from services.cli import send
from services.survey.answers.responses import Contact
from services.survey.cases.desk import CaseDesk
from services.survey.cases.detail import detail_of
from services.survey.cases.filters import Filters
from services.survey.cases.inbox import Looking
from services.survey.cases.number import number_of
from services.survey.cases.work import Action, Step
from services.survey.followup import FollowUp
from services.survey.outcomes.message import Fate, OutcomeMessage, Result
from services.survey.outcomes.sending import SendOutcomes
from services.survey.outcomes.wiring import outcomes_of
from services.survey.privacy.retention import retention
from services.survey.staff.refusals import Impossible
from tests.caseload import ANNA, CASELOAD, NOW, SEAL, Told, fill, parts_of, shared_of
from tests.tables import everything_stored

pytestmark = pytest.mark.service("survey")
WORDS = "Vi har lagt om lastningen på rutt 14."
BY_MAIL = replace(CASELOAD[1], contact=Contact("Elin Sandahl", "elin@mottagare.example"))
BY_PHONE = CASELOAD[1]
TEXTED = replace(CASELOAD[1], contact=Contact("Elin Sandahl", "070-174 06 05"))
DID_NOT_ASK = CASELOAD[0]


@dataclass
class Scripted:
    """A way out that says what it is told to say."""

    result: Result = field(default_factory=lambda: Result(Fate.ACCEPTED))
    sent: list[OutcomeMessage] = field(default_factory=list)

    async def send(self, message: OutcomeMessage) -> Result:
        self.sent.append(message)
        return self.result


def sending(pool: Pool, settings: Settings, sender: Any = None, *, minutes: float = 0) -> SendOutcomes:
    found = outcomes_of(shared_of(pool, settings, Metrics(), lambda: NOW + timedelta(minutes=minutes)))
    assert found is not None
    return found if sender is None else replace(found, sender=sender)


def desk_of(pool: Pool, settings: Settings) -> CaseDesk:
    return parts_of(pool, settings, Metrics()).desk


async def write(pool: Pool, settings: Settings, told: Told = BY_MAIL, revision: int = 1) -> CaseDesk:
    """A case whose person is written to."""
    if revision == 1:
        await fill(pool, settings, [told])
    desk = desk_of(pool, settings)
    case_id = await pool.fetchval("SELECT case_id FROM feedback_case")
    sealed = SEAL.for_purpose("case notes").close(WORDS, f"outcome {case_id}")
    await desk.perform(ANNA, 1, revision, Step(action=Action.NOTE, note="Skrev.", outcome_sealed=sealed, send=True))
    return desk


async def stands(desk: CaseDesk) -> tuple[str | None, str | None]:
    case = (await desk.cases.one(ANNA, 1)).case
    standing = await desk.cases.standing(ANNA, case)
    return standing.sent, standing.reason


async def history(pool: Pool) -> list[str]:
    return [r["what"] for r in await pool.fetch("SELECT what FROM case_entry ORDER BY entry_id")]


async def test_words_are_sent_once_to_the_address_that_the_person_gave(pool: Pool, settings: Settings) -> None:
    desk, sender = await write(pool, settings), Scripted()
    assert await stands(desk) == ("planned", None)
    both = [sending(pool, settings, sender) for _ in range(2)]
    assert sorted(await asyncio.gather(*(s.send_next() for s in both))) == [False, True]
    assert [(m.address, m.language) for m in sender.sent] == [("elin@mottagare.example", "sv")]
    assert sender.sent[0].text.startswith(WORDS)
    assert number_of(1) in sender.sent[0].subject
    case = (await desk.cases.one(ANNA, 1)).case
    assert (case.outcome_told, case.revision) == (True, 3)
    assert await history(pool) == ["answered", "opened", "noted", "outcome_sent"]
    assert (await stands(desk))[0] == "accepted"
    assert await pool.fetchval("SELECT words_sealed FROM outcome_message") is None


async def test_a_process_that_dies_while_it_sends_leaves_a_doubt_that_is_never_sent_again(
    pool: Pool, settings: Settings
) -> None:
    class Died(BaseException):
        pass

    class Dies(Scripted):
        async def send(self, message: OutcomeMessage) -> Result:
            self.sent.append(message)
            raise Died

    desk, dying, next_one = await write(pool, settings), Dies(), Scripted()
    with pytest.raises(Died):
        await sending(pool, settings, dying).send_next()
    assert len(dying.sent) == 1
    later = sending(pool, settings, next_one, minutes=10)
    assert await later.send_next() is False
    await later.doubt_interrupted()
    await later.doubt_interrupted()
    assert await later.send_next() is False
    assert next_one.sent == []
    assert await stands(desk) == ("in_doubt", "interrupted")
    assert (await history(pool))[-2:] == ["noted", "outcome_in_doubt"]
    assert (await desk.cases.one(ANNA, 1)).case.outcome_told is False


async def test_what_is_refused_for_now_is_tried_again_and_in_the_end_given_up(pool: Pool, settings: Settings) -> None:
    desk, away = await write(pool, settings), Scripted(Result(Fate.REFUSED_FOR_NOW, "smtp_451"))
    assert await sending(pool, settings, away).send_next()
    assert await stands(desk) == ("planned", "smtp_451")
    assert await sending(pool, settings, away, minutes=1).send_next() is False
    assert await sending(pool, settings, away, minutes=3).send_next()
    assert len(away.sent) == 2
    for n in range(6):
        assert (await stands(desk))[0] == "planned"
        assert await sending(pool, settings, away, minutes=60 * 49 + 121 * n).send_next()
    assert await stands(desk) == ("refused", "smtp_451")
    assert (await history(pool))[-1] == "outcome_not_sent"


async def test_who_left_a_phone_number_or_nothing_any_more_is_sent_nothing(pool: Pool, settings: Settings) -> None:
    desk, sender = await write(pool, settings, BY_PHONE), Scripted()
    assert await sending(pool, settings, sender).send_next()
    assert await stands(desk) == ("withheld", "no_email")
    await write(pool, settings, revision=3)
    await pool.execute("DELETE FROM contact_wish")
    assert await sending(pool, settings, sender).send_next()
    assert await pool.fetchval("SELECT count(*) FROM outcome_message WHERE reason = 'no_contact'") == 1
    assert sender.sent == []


@pytest.mark.parametrize(
    ("listed", "stood", "sent"),
    [("*", ("accepted", None), ["+46701740605"]), ("+46701740606", ("withheld", "not_listed"), [])],
)
async def test_who_left_a_phone_number_is_sent_a_text_message_where_a_gateway_is_set(
    pool: Pool, settings: Settings, listed: str, stood: tuple[str, str | None], sent: list[str]
) -> None:
    desk, mails, texts = await write(pool, settings, TEXTED), Scripted(), Scripted()
    staging = settings.model_copy(update={"send_only_to": SecretStr(listed)})
    assert await replace(sending(pool, staging, mails), texts=texts).send_next()
    assert await stands(desk) == stood
    assert ([m.address for m in texts.sent], mails.sent) == (sent, [])
    assert all(m.text.startswith(f"{settings.brand}: {WORDS}") for m in texts.sent)


@pytest.mark.parametrize(
    ("address", "why"), [("12345", "no_number"), ("elin@mottagare.example", "no_mail"), ("070-174 06 05", None)]
)
async def test_with_a_gateway_alone_nothing_but_a_number_is_reached(
    pool: Pool, settings: Settings, address: str, why: str | None
) -> None:
    desk, texts = await write(pool, settings, replace(TEXTED, contact=Contact("Elin", address))), Scripted()
    assert await replace(sending(pool, settings), sender=None, texts=texts).send_next()
    assert await stands(desk) == ("withheld" if why else "accepted", why)
    assert len(texts.sent) == (why is None)


@pytest.mark.parametrize(
    ("sent_before", "fate"), [(False, ("withheld", "erased")), (True, ("withheld", "local_outbox"))]
)
async def test_an_erased_person_is_sent_nothing_and_no_words_are_left(
    pool: Pool, settings: Settings, sent_before: bool, fate: tuple[str, str]
) -> None:
    desk = await write(pool, settings)
    if sent_before:
        assert await sending(pool, settings).send_next()
    case = (await desk.cases.one(ANNA, 1)).case
    plain = {"response_id": case.response_id, "revision": 2, "score": 2, "answered_at": NOW, "recorded_at": NOW}
    erased = ResponseRecorded.model_validate({**plain, "erased": True, "delivery": case.delivery})
    async with pool.acquire() as connection, connection.transaction():
        await FollowUp([parts_of(pool, settings, Metrics()).reaction])(connection, [Received(erased, None, NOW)])
    sender = Scripted()
    assert await sending(pool, settings, sender).send_next() is False
    assert sender.sent == []
    row = await pool.fetchrow("SELECT state, reason, words_sealed, kept_sealed FROM outcome_message")
    assert tuple(row or ()) == (*fate, None, None)


@pytest.mark.parametrize(("listed", "fate"), [("", "withheld"), ("x@y.example, ELIN@mottagare.example", "accepted")])
async def test_a_staging_system_reaches_listed_addresses_only(
    pool: Pool, settings: Settings, listed: str, fate: str
) -> None:
    desk, sender = await write(pool, settings), Scripted()
    staging = settings.model_copy(update={"send_only_to": SecretStr(listed)})
    assert await sending(pool, staging, sender).send_next()
    assert (await stands(desk))[0] == fate
    assert len(sender.sent) == (fate == "accepted")


async def test_nobody_is_written_to_who_did_not_ask_and_nothing_leaves_without_words(
    pool: Pool, settings: Settings
) -> None:
    with pytest.raises(Impossible, match="did not ask"):
        await write(pool, settings, DID_NOT_ASK)
    desk = desk_of(pool, settings)
    await pool.execute("UPDATE feedback_case SET wants_contact = true")
    with pytest.raises(Impossible, match="Write the words"):
        await desk.perform(ANNA, 1, 1, Step(action=Action.NOTE, note="x", send=True))
    elsewhere = desk_of(pool, settings.model_copy(update={"channel": "providers"}))
    with pytest.raises(Impossible, match="No words can be sent from here"):
        await elsewhere.perform(ANNA, 1, 1, Step(action=Action.NOTE, note="x", outcome_sealed=b"x", send=True))


async def test_a_second_message_waits_for_the_first(pool: Pool, settings: Settings) -> None:
    desk = await write(pool, settings)
    with pytest.raises(Impossible, match="on their way already"):
        await write(pool, settings, revision=2)
    assert (await desk.cases.one(ANNA, 1)).case.revision == 2
    assert await pool.fetchval("SELECT count(*) FROM outcome_message") == 1


async def test_a_pause_holds_words_to_persons_too(pool: Pool, settings: Settings) -> None:
    await write(pool, settings)
    sender = Scripted()
    await send._send(settings, turn_to=False)
    assert await sending(pool, settings, sender).send_next() is False
    await send._send(settings, turn_to=True)
    assert await sending(pool, settings, sender).send_next()
    assert len(sender.sent) == 1


async def test_a_pause_holds_text_messages_too(pool: Pool, settings: Settings) -> None:
    desk, texts = await write(pool, settings, TEXTED), Scripted()
    await send._send(settings, turn_to=False)
    by_text = replace(sending(pool, settings), sender=None, texts=texts)
    assert await by_text.send_next() is False
    assert (await stands(desk), texts.sent) == (("planned", None), [])
    await send._send(settings, turn_to=True)
    assert await by_text.send_next()
    assert [m.address for m in texts.sent] == ["+46701740605"]


async def test_a_text_message_waits_until_sending_is_permitted(pool: Pool, settings: Settings) -> None:
    stop, answers = asyncio.Event(), iter([False, False, True])

    class Last(Scripted):
        async def send(self, message: OutcomeMessage) -> Result:
            stop.set()
            return await super().send(message)

    desk, texts = await write(pool, settings, TEXTED), Last()
    by_text = replace(sending(pool, settings), sender=None, texts=texts, permitted=lambda: next(answers), period=0.01)
    await by_text.run(stop)
    assert next(answers, "all were asked for") == "all were asked for"
    assert (await stands(desk), len(texts.sent)) == (("accepted", None), 1)


async def test_text_messages_are_permitted_as_long_as_live_sending_is(pool: Pool, settings: Settings) -> None:
    secret = "whsec_bWFkZSB1cCBmb3IgdGhlIHRlc3Rz"
    live = settings.model_copy(
        update={
            "channel": "providers",
            "outcome_text_url": "https://gateway.example/texts",
            "outcome_text_secret": SecretStr(secret),
            "live_sending_until": NOW + timedelta(hours=1),
        }
    )
    assert sending(pool, live).permitted()
    assert not sending(pool, live, minutes=61).permitted()
    assert not sending(pool, live.model_copy(update={"live_sending_until": None})).permitted()


async def test_who_takes_the_wish_to_be_contacted_back_gets_no_text_message(pool: Pool, settings: Settings) -> None:
    desk, texts = await write(pool, settings, TEXTED), Scripted()
    await pool.execute("DELETE FROM contact_wish")
    assert await replace(sending(pool, settings), sender=None, texts=texts).send_next()
    assert (await stands(desk), texts.sent) == (("withheld", "no_contact"), [])


async def test_the_local_outbox_tells_nobody_and_the_case_says_so(pool: Pool, settings: Settings) -> None:
    desk = await write(pool, settings)
    assert await sending(pool, settings).send_next()
    listed = await desk.cases.one(ANNA, 1)
    assert listed.case.outcome_told is False
    events = await pool.fetch("SELECT value FROM outbox WHERE topic = 'feedback.case.v1'")
    assert [FeedbackCase.model_validate_json(r["value"]).outcome_told for r in events] == [False, False, False]
    assert (await history(pool))[-1] == "outcome_not_sent"
    looking = Looking(ANNA, Filters(), desk.deadlines, NOW)
    standing = await desk.cases.standing(ANNA, listed.case)
    assert detail_of(listed, [], looking, same_day=None, standing=standing).outcome == (
        "Words to the person were not sent: this system has a local outbox, which reaches nobody."
        " Tell the person in another way."
    )


async def test_the_local_outbox_keeps_the_message_sealed_for_agents_to_read(pool: Pool, settings: Settings) -> None:
    desk = await write(pool, settings)
    assert await sending(pool, settings).send_next()
    case = (await desk.cases.one(ANNA, 1)).case
    kept = (await desk.cases.standing(ANNA, case)).kept
    assert kept is not None
    assert WORDS in kept
    stored = await everything_stored(pool)
    assert WORDS not in stored
    assert "elin@" not in stored
    await pool.execute("UPDATE outcome_message SET written_at = now() - interval '31 days'")
    async with pool.acquire() as connection:
        done = await retention(settings).run(connection)
    assert done is not None
    assert done["outcome_messages"] == 1
    assert (await desk.cases.standing(ANNA, case)).kept is None
