"""Taps at a kiosk: people who came by, not invited, so never mixed with invited answers."""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from schemas.delivery import DeliveryFacts, Method, Touchpoint
from schemas.response import ResponseRecorded
from services.chassis.ids import time_ordered
from services.chassis.message_lines import ANSWERED, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.postgres import Database, Pool, named_sql
from services.survey.answers.recorded import Outcome
from services.survey.api.clients import Client, Place
from services.survey.api.keys import Scope
from services.survey.api.models import Tap, TapRecorded
from services.survey.api.once import Reply, key_reused
from services.survey.api.reading import Door, read_json
from services.survey.conditions import TapOf, idempotency_key, tap_of

CHANNEL: Final = "kiosk"


@dataclass(frozen=True, slots=True)
class Visit:
    """One person at a kiosk, as far as we can tell.

    Attributes:
        answered_at: when the first tap came here.
        changed_at: when the last one came.
        visit: what the kiosk calls this person; None where it does not tell.
        tap: which tap of the person was the last, as the kiosk counts them; 0 where it does not tell.
    """

    response_id: uuid.UUID
    revision: int
    score: int
    answered_at: datetime
    changed_at: datetime
    visit: str | None = None
    tap: int = 0


def after_tap(latest: Visit | None, score: int, now: datetime, debounce: timedelta, told: TapOf | None = None) -> Visit:
    """The visit that a tap belongs to. Pure but for the id of a new one.

    The kiosk tells whose a tap is, or a tap soon after another is the same person. Another face corrects the answer,
    the same face adds nothing, nor does one that comes after a later one. Each tap starts the time anew, so a child
    that drums on the glass is one visit.

    Args:
        latest: the visit that the kiosk names, if there is one; the last one where the kiosk names none.
        score: the face.
        now: when the tap came here.
        debounce: how soon is soon.
        told: whose tap it is, as far as the kiosk tells.
    """
    if told is not None:
        if latest is None:
            return Visit(time_ordered(now), 1, score, now, now, told.visit, told.tap)
        if told.tap <= latest.tap:
            return latest
    elif latest is None or abs(now - latest.changed_at) >= debounce:  # clocks of two processes may differ
        return Visit(time_ordered(now), 1, score, now, now)
    revision = latest.revision + (score != latest.score)
    tap = latest.tap if told is None else told.tap
    return replace(latest, revision=revision, score=score, changed_at=now, tap=tap)


def delivery_of(visit: Visit) -> str:
    """The id that stands where other answers name their delivery."""
    return f"{CHANNEL}:{visit.response_id}"


def recorded(visit: Visit, place: Place, survey: str, language: str | None) -> ResponseRecorded:
    """The event of a visit. The visit stands for the delivery; whoever counts must see that nobody was invited."""
    return ResponseRecorded(
        response_id=str(visit.response_id),
        revision=visit.revision,
        invited=False,
        score=visit.score,
        channel=CHANNEL,
        language=language,
        survey=survey,
        answered_at=visit.changed_at,
        recorded_at=visit.changed_at,
        delivery=DeliveryFacts(
            delivery_id=delivery_of(visit),
            carrier=place.carrier,
            terminal=place.terminal,
            service_point=place.service_point,
            country=place.country,
            method=Method.SERVICE_POINT,
            touchpoint=Touchpoint.SHOP_PICKUP,
            occurred_at=visit.answered_at,
            zone=place.zone,
        ),
    )


@dataclass(frozen=True, slots=True)
class KioskRoutes:
    """`POST /api/v1/kiosk/responses`."""

    pool: Pool
    door: Door
    relay: Relay
    metrics: Metrics
    now: Callable[[], datetime]
    debounce: timedelta
    survey: str
    lines: MessageLines = field(default_factory=lambda: MessageLines(0))
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "api.sql"))

    def __post_init__(self) -> None:
        for kind in ("kiosk", "kiosk_revision"):
            self.metrics.begin("kvittera_answers_total", kind=kind)

    async def tap(self, request: Request) -> Response:
        """Keep a tap; 2xx only after the commit, which also keeps for good what its Idempotency-Key became."""
        client = await self.door.let_in(request, Scope.KIOSK)
        key, told_of = idempotency_key(request), tap_of(request)
        body = await read_json(request, Tap)
        began = time.perf_counter()
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(self.sql["lock_kiosk"], client.client_id)
            told = None if key is None else await self._known(connection, client, key, body.sha256)
            if told is not None:
                return _reply(told)
            visit = await self._keep(connection, client, body.model, told_of)
            told = TapRecorded(id=visit.response_id, revision=visit.revision)
            if key is not None:
                what_came = (client.client_id, _digest(key), body.sha256, told.id, told.revision)
                await connection.execute(self.sql["know_tap"], *what_came)
        self.relay.wake()
        self._tell(visit, time.perf_counter() - began)
        self.metrics.count("kvittera_answers_total", kind="kiosk" if visit.revision == 1 else "kiosk_revision")
        return _reply(told)

    async def _known(self, connection: Database, client: Client, key: str, body_sha256: bytes) -> TapRecorded | None:
        """What a tap with this key became before.

        Raises:
            Problem: 422: it came with another body.
        """
        row = await connection.fetchrow(self.sql["known_tap"], client.client_id, _digest(key))
        if row is None:
            return None
        if row["body_sha256"] != body_sha256:
            raise key_reused()
        return TapRecorded(id=row["response_id"], revision=row["revision"])

    def _tell(self, visit: Visit, seconds: float) -> None:
        for tapped in self.lines.chosen(ANSWERED, [visit], 1):
            self.lines.tell(
                ANSWERED,
                None,
                seconds,
                delivery_id=delivery_of(tapped),
                channel=CHANNEL,
                kept=True,
                result=Outcome.KEPT.value,
                revision=tapped.revision,
            )

    async def _keep(self, connection: Database, client: Client, tap: Tap, told: TapOf | None) -> Visit:
        assert client.place is not None, "the table refuses a kiosk without a place"
        latest = await self._before(connection, client, told)
        visit = after_tap(latest, tap.score, self.now(), self.debounce, told)
        if latest and visit.revision == latest.revision and visit.response_id == latest.response_id:
            await connection.execute(self.sql["touch_tap"], visit.response_id, visit.changed_at, visit.tap)
            return visit
        event = recorded(visit, client.place, self.survey, tap.language).model_dump_json(exclude_none=True)
        await connection.execute(
            self.sql["keep_tap"],
            visit.response_id,
            client.client_id,
            visit.revision,
            visit.score,
            visit.answered_at,
            visit.changed_at,
            visit.visit,
            visit.tap,
            event.encode(),
        )
        return visit

    async def _before(self, connection: Database, client: Client, told: TapOf | None) -> Visit | None:
        if told is None:
            row = await connection.fetchrow(self.sql["latest_tap"], client.client_id)
        else:
            row = await connection.fetchrow(self.sql["tap_of_visit"], client.client_id, told.visit)
        return Visit(**row) if row else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _reply(told: TapRecorded) -> Response:
    return Reply(HTTPStatus.CREATED, told.model_dump(mode="json")).response()
