"""The survey service put together: settings in, running service out. Nothing is built anywhere else."""

import gc
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.routing import BaseRoute

from schemas.invitation import InvitationDecided
from schemas.recipient import PersonErased
from schemas.response import ResponseRecorded
from schemas.topics import INVITATION_DECIDED, PERSON_ERASED, RESPONSE_RECORDED
from services.chassis.arrivals import Arrivals
from services.chassis.consumer import Reader
from services.chassis.faststream_feed import carry
from services.chassis.http import make_app, serve
from services.chassis.kafka import NO_HURRY_MS
from services.chassis.known_keys import check_keys
from services.chassis.known_server import KnownServer
from services.chassis.lifecycle import Task, run_until_stopped
from services.chassis.logs import configure_logs, tell_start
from services.chassis.message_lines import FOLLOWED_UP, LEARNED, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Database, Pool, check_migrated, named_sql, open_look_up_pool, open_pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff.door import SessionCare
from services.chassis.staff.gate import gate_for
from services.chassis.subscriptions import Subscriptions
from services.chassis.traces import Traces
from services.survey.answers.handlers import Answers, LearnInvitations
from services.survey.answers.unread_links import NoteUnreadLinks
from services.survey.api.wiring import api_mount
from services.survey.asked_definitions import check_unchanged
from services.survey.cases.notice import CaseNotices
from services.survey.definition_files import load_definitions
from services.survey.definitions import Definitions
from services.survey.followup import FollowUp, Reaction
from services.survey.privacy.erasure import ErasePersons
from services.survey.privacy.retention import months, retention
from services.survey.recipient.guesses import Guesses, Guessing, GuessLimit
from services.survey.recipient.http import SurveyRoutes
from services.survey.recipient.kiosk_page import KioskPage
from services.survey.recipient.page_models import HumanRoute, Site
from services.survey.recipient.public_wiring import public_routes
from services.survey.recipient.rendering import SurveyPages
from services.survey.reviews.offer import read_policies
from services.survey.reviews.stored import Reviews
from services.survey.shared import Shared
from services.survey.staff_parts import staff_parts

SERVICE = "survey"
_GROUP = "kvittera-survey"
_FOLLOW_UP_GROUP = "kvittera-survey-followup"
_ERASURES_GROUP = "kvittera-survey-erasures"
PACKAGE = "services.survey"
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class _Readers:
    """The topics that the survey service reads.

    Attributes:
        patient: the settings, for readers that wait for Kafka as long as it takes.
    """

    patient: Settings
    invitations: Reader[Received[InvitationDecided]]
    responses: Reader[Received[ResponseRecorded]]
    erasures: Reader[Received[PersonErased]]

    def tasks(self) -> dict[str, Task]:
        """What reads and watches each; answers are followed up only where the settings say so."""
        patient = self.patient
        reading: dict[str, Task] = {
            "invitations": carry(self.invitations, patient, max_records=_BATCH),
            "watch": self.invitations.watch,
            "erasures": carry(self.erasures, patient, max_records=_BATCH, fetch_wait_ms=NO_HURRY_MS),
            "watch erasures": self.erasures.watch,
        }
        if patient.survey_follow_up:
            reading["followup"] = carry(self.responses, patient, max_records=_BATCH)
            reading["watch followup"] = self.responses.watch
        return reading


async def run(settings: Settings) -> None:
    """Run the survey service until it is told to stop.

    Raises:
        MustStop: it cannot or must not run; the message says what to do.
    """
    configure_logs(settings, SERVICE)
    tell_start(settings.http_host, settings.survey_port)
    # Answers and pages make many objects that are in no cycle; each look through them holds up all that wait.
    gc.set_threshold(100_000, 50, 100)
    seal, gate = Seal.of(settings), gate_for(settings, _now)
    metrics, traces, known = Metrics(), Traces.from_settings(settings, SERVICE), KnownServer()
    definitions = load_definitions(settings.surveys_folder)
    pool, looking = await _pools(settings, definitions, seal, known)
    relay = Relay(settings, SERVICE, metrics, known)
    shared = Shared(settings, pool, seal, definitions, gate, metrics, _now, relay.wake)
    lines = MessageLines.from_settings(settings)
    answers = Answers(pool, seal, relay, metrics, _now, settings.survey_queue, looking, lines, traces)
    reviews, staff = Reviews(read_policies(settings.review_policy_file), seal), staff_parts(shared)
    readers = _readers(shared, traces, lines, reviews, staff.reactions)
    pages = _recipient_pages(shared, answers, reviews, Arrivals(readers.invitations), staff.routes)
    limit = GuessLimit(pages, pages.guessing, pages.too_many_guesses)
    lanes = pages.lanes(pages.guessing.lets_look)
    await pages.warm_up(_now())
    gc.freeze()  # what was made until now stays: looking through it again and again only holds up pages
    try:
        await run_until_stopped(
            {
                "http": lambda stop: serve(limit, settings.http_host, settings.survey_port, stop, lanes=lanes),
                **readers.tasks(),
                **staff.tasks,
                "relay": relay.run,
                "server": known.watch,
                "answers": answers.finish,
                "retention": lambda stop: retention(settings).daily(pool, metrics, stop),
                "months": lambda stop: months(settings).daily(pool, metrics, stop),
            },
            drain_seconds=settings.drain_seconds,
            metrics=metrics,
        )
    finally:
        traces.close()
        looking.terminate()
        pool.terminate()


def _now() -> datetime:
    return datetime.now(UTC)


async def _pools(settings: Settings, definitions: Definitions, seal: Seal, known: KnownServer) -> tuple[Pool, Pool]:
    """A pool for everything, and one for looking at pages, once what they lead to is as it must be."""
    pool = await open_pool(settings, SERVICE, known=known)
    async with pool.acquire() as connection:
        await check_migrated(connection, SERVICE, PACKAGE)
        await check_keys(connection, SERVICE, seal)
        await check_unchanged(connection, definitions)
    return pool, await open_look_up_pool(settings, SERVICE, 1, known=known)


def _readers(
    shared: Shared, traces: Traces, lines: MessageLines, reviews: Reviews, reactions: Sequence[Reaction]
) -> _Readers:
    # Kafka may be away for as long as it likes: answers to known invitations are kept meanwhile (guarantee 1).
    patient = shared.settings.model_copy(update={"boot_patience_seconds": math.inf})
    subscriptions = Subscriptions(patient, SERVICE, patient.survey_port, shared.pool, shared.metrics, traces, lines)
    learn = LearnInvitations(named_sql(PACKAGE), shared.definitions)

    async def learn_and_offer(connection: Database, decided: list[Received[InvitationDecided]]) -> None:
        await learn(connection, decided)
        await reviews.decide(connection, decided)

    invitations = subscriptions.reader(INVITATION_DECIDED, _GROUP, InvitationDecided, learn_and_offer, LEARNED)
    invitations.fence.putting_aside = NoteUnreadLinks(learn.sql)
    return _Readers(
        patient,
        invitations,
        subscriptions.reader(RESPONSE_RECORDED, _FOLLOW_UP_GROUP, ResponseRecorded, FollowUp(reactions), FOLLOWED_UP),
        subscriptions.reader(PERSON_ERASED, _ERASURES_GROUP, PersonErased, ErasePersons(PersonKeys(shared.seal))),
    )


def _recipient_pages(
    shared: Shared,
    answers: Answers,
    reviews: Reviews,
    arrivals: Arrivals,
    for_staff: Sequence[BaseRoute],
) -> SurveyRoutes:
    """The recipient's pages, and behind them everything else that the survey serves."""
    settings = shared.settings
    site = Site(
        carrier=settings.brand,
        human=HumanRoute(settings.help_phone, "8–18", settings.help_email),
        demo=settings.demo_mark,
        edit_days=round(settings.lock_after_days),
    )
    pages = SurveyPages(site)
    debounce = timedelta(seconds=settings.kiosk_debounce_seconds)
    kiosk_page = KioskPage(settings.brand, debounce, demo=settings.demo_mark).route()
    caught_up = arrivals.all_applied
    public = public_routes(settings, answers, site, pages, caught_up)
    api = api_mount(settings, answers, shared.definitions, caught_up, arrivals.reader.is_cut_off)
    others = [*for_staff, *public, api, kiosk_page]

    async def ready() -> str | None:
        # Answers need PostgreSQL only; a link newer than what was read so far is told to come back.
        return None if await answers.can_keep() else "PostgreSQL does not answer"

    return SurveyRoutes(
        answers=answers,
        definitions=shared.definitions,
        pages=pages,
        seal=answers.seal,
        metrics=answers.metrics,
        caught_up=caught_up,
        guessing=Guessing(Guesses(settings.wrong_links_per_minute), settings.trusted_proxies, time.monotonic),
        brand=settings.brand,
        case_of=CaseNotices(answers.pool, _now),
        reviews=reviews,
        others=SessionCare(make_app(others, ready=ready, metrics=answers.metrics), shared.gate),
    )
