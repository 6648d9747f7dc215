"""A day's cases for the inbox, members to look at them, and a gate that knows who they are."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response

from schemas.response import ResponseRecorded
from services.chassis.http import make_app, problem
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff import Member, Role
from services.survey.answers.responses import Contact
from services.survey.cases.number import number_of
from services.survey.cases.wiring import CaseParts, case_parts
from services.survey.comments.texts import SealedTexts
from services.survey.definition_files import load_definitions
from services.survey.followup import FollowUp
from services.survey.shared import Shared
from tests.builders import facts
from tests.conftest import SEALING_KEY

SEAL = Seal(bytes.fromhex(SEALING_KEY))
NOW = datetime(2026, 10, 14, 14, 31, tzinfo=UTC)
"""A Wednesday; 16:31 in Stockholm."""
SECRET = "only-our-pages-know"

ANNA = Member("s-anna", "Anna L.", {"Årsta": Role.AGENT, "Segeltorp": Role.AGENT})
RIKARD = Member("s-rikard", "Rikard R.", {"Årsta": Role.READER})
LENA = Member("s-lena", "Lena L.", {"*": Role.LEAD})
MALTE = Member("s-malte", "Malte M.", {"Malmö": Role.ADMIN})
NOBODY = Member("s-new", "New", {})
MEMBERS = {m.subject: m for m in (ANNA, RIKARD, LENA, MALTE, NOBODY)}


class HeaderGate:
    """Believes a header or cookie. For tests only."""

    def who(self, connection: HTTPConnection) -> Member | None:
        return MEMBERS.get(connection.headers.get("x-member") or connection.cookies.get("member", ""))

    def form_secret(self, member: Member) -> str:
        return f"{SECRET} {member.subject}"

    def form_is_ours(self, member: Member, given: str) -> bool:
        return given == self.form_secret(member)

    def turn_away(self, _: HTTPConnection) -> Response:
        return problem(401, "Sign in first")


@dataclass
class Told:
    """An answer that a case grows from; `hours` before NOW."""

    score: int | None
    comment: str | None
    hours: float
    answer: dict[str, Any]
    delivery: dict[str, Any]
    contact: Contact | None = None


LATE = {"promised_from": NOW - timedelta(hours=26, minutes=31), "promised_until": NOW - timedelta(hours=24, minutes=31)}
CASELOAD = [
    Told(1, "Markerat levererat men inget paket här.", 30, {"contested": True}, {"proof_of_delivery": "POD-7"}),
    Told(
        2,
        "Tiden sa 14–16. Jag tog ledigt och paketet kom kvart i sex.",
        22.8,
        {"wants_contact": True, "reasons": ["on_time"], "language": "sv"},
        {"route": "14", "method_chosen_by_recipient": True, "late": True, **LATE},
        Contact("Elin Sandahl", "070-174 06 12"),
    ),
    Told(1, "Kartongen var öppen och hälften saknades.", 20, {}, {"terminal": "Segeltorp", "exceptions": ["damaged"]}),
    Told(2, "Ställdes hos grannen utan att jag sagt ja.", 8, {"reasons": ["right_place"]}, {"terminal": "Växjö"}),
    Told(4, "Allt bra, men jag vill prata om avisering till min mamma.", 7, {"wants_contact": True}, {}),
    Told(1, "Ingen ringde på. Jag var hemma hela dagen.", 6, {"reasons": ["on_time"]}, {"late": True}),
    Told(2, "Skåpet var fullt, fick åka till nästa ort.", 5, {}, {"terminal": "Malmö", "method": "parcel_locker"}),
    Told(1, None, 2, {}, {}),
    Told(2, "Chauffören var stressad men hjälpsam.", 0.5, {"reasons": ["courtesy"]}, {"terminal": None}),
    Told(1, "<img src=x onerror=alert(1)> =1+1 ' or 1=1--", 0.4, {}, {"merchant_name": "{{7*7}} </script><script>"}),
]
"""Cases 1 to 10, in this order."""


def parts_of(pool: Pool, settings: Settings, metrics: Metrics, now: datetime = NOW) -> CaseParts:
    return case_parts(shared_of(pool, settings, metrics, lambda: now), SealedTexts(SEAL))


def shared_of(pool: Pool, settings: Settings, metrics: Metrics, now: Callable[[], datetime]) -> Shared:
    return Shared(settings, pool, SEAL, load_definitions(), HeaderGate(), metrics, now, wake_relay=lambda: None)


async def fill(pool: Pool, settings: Settings, told: list[Told] = CASELOAD) -> list[str]:
    """Store the answers and let them open their cases; returns the case numbers."""
    for n, one in enumerate(told, 1):
        await _store(pool, n, one, settings)
    return [number_of(n) for n in range(1, len(told) + 1)]


async def _store(pool: Pool, n: int, one: Told, settings: Settings) -> None:
    at = NOW - timedelta(hours=one.hours)
    response_id, token = uuid.UUID(int=n), n.to_bytes(32)
    delivery = facts(**{"delivery_id": f"D-{n}", "occurred_at": NOW - timedelta(hours=22, minutes=49), **one.delivery})
    await pool.execute(
        "INSERT INTO invitation (token_sha256, invitation_id, expires_at, delivery) VALUES ($1, $2, $3, $4)",
        token,
        response_id,
        NOW + timedelta(days=13),
        delivery.model_dump_json(),
    )
    sealed = SEAL.close(one.comment, token.hex()) if one.comment else None
    await pool.execute(
        "INSERT INTO response (response_id, revision, score, comment_sealed, answered_at, changed_at)"
        " VALUES ($1, 1, $2, $3, $4, $4)",
        response_id,
        one.score,
        sealed,
        at,
    )
    if one.contact is not None:
        await pool.execute(
            "INSERT INTO contact_wish (response_id, sealed, consent_version, given_at) VALUES ($1, $2, 'v', $3)",
            response_id,
            SEAL.close(one.contact.as_text(), f"contact {token.hex()}"),
            at,
        )
    plain = {"response_id": str(response_id), "revision": 1, "score": one.score, "answered_at": at, "recorded_at": at}
    message = ResponseRecorded.model_validate(
        {**plain, "commented": one.comment is not None, "delivery": delivery, **one.answer}
    )
    reaction = parts_of(pool, settings, Metrics(), at).reaction
    async with pool.acquire() as connection, connection.transaction():
        await FollowUp([reaction])(connection, [Received(message, None, at)])


async def _ready() -> str | None:
    return None


def app_of(parts: CaseParts, metrics: Metrics) -> Any:
    return make_app(parts.routes, ready=_ready, metrics=metrics)
