"""Praise over HTTP: the queue for staff. Every POST carries the secret of the member's own forms."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.chassis.http import problem
from services.chassis.ids import read_uuid
from services.chassis.staff import Gate, Member, Role
from services.survey.comments.languages import Languages
from services.survey.praise.desk import PraiseDesk
from services.survey.praise.queue_page import TABS, Chosen, QueuePage
from services.survey.praise.rules import Act
from services.survey.staff.cursors import Cursor, read_cursor, written
from services.survey.staff.forms import Form, TurnedAway, posted
from services.survey.staff.refusals import Impossible, NotAllowed, NotThere, Stale

_LONGEST_EVIDENCE: Final = 2000
_NOTICES: Final = {
    "outdated": "Somebody else changed this praise. Look again.",
    "impossible": "That is not possible for this praise now.",
}
_Work = Callable[[Member, uuid.UUID, Form], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PraiseRoutes:
    """`/praise` and what its forms post to."""

    desk: PraiseDesk
    gate: Gate
    page: QueuePage
    languages: Languages
    now: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/praise", self.show),
            Route("/praise/{praise_id:str}", self.act, methods=["POST"]),
            Route("/praise/{praise_id:str}/driver", self.driver, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The queue with one praise open."""
        member = self.gate.who(request)
        if member is None:
            return self.gate.turn_away(request)
        if not member.may(Role.READER):
            return problem(403, "Your role does not allow this")
        query = request.query_params
        tab = query.get("show", "waiting")
        tab = tab if tab in TABS else "waiting"
        terminal = query.get("terminal", "").replace("\x00", "") or None
        rows, after = await self.desk.queue(member, TABS[tab][1], terminal, _after_of(query.get("after", "")))
        wanted = read_uuid(query.get("id", "")) or (uuid.UUID(rows[0].praise.praise_id) if rows else None)
        try:
            chosen = None if wanted is None else await self._choose(member, wanted)
        except NotThere:
            return problem(404, "No such praise")
        body = self.page.render(
            member,
            self.gate.form_secret(member),
            rows,
            chosen,
            show=tab,
            waiting=await self.desk.waiting(member),
            now=self.now(),
            notice=_NOTICES.get(query.get("notice", ""), ""),
            further=_further(tab, terminal, after),
        )
        return Response(body, headers=self.page.headers, media_type="text/html")

    async def act(self, request: Request) -> Response:
        """Pass on, approve, decline and the like."""

        async def work(member: Member, praise_id: uuid.UUID, form: Form) -> None:
            revision = form.number("revision")
            if form.word("act") not in set(Act) or revision is None:
                raise TurnedAway(problem(422, "act and revision must be those of the page"))
            evidence = form.word("evidence").strip()[:_LONGEST_EVIDENCE]
            act, masks = Act(form.word("act")), form.numbers("mask")
            await self.desk.act(member, praise_id, act, revision=revision, masks=masks, evidence=evidence)

        return await self._do(request, work)

    async def driver(self, request: Request) -> Response:
        """Note whether the driver wants to be on boards."""

        async def work(member: Member, praise_id: uuid.UUID, form: Form) -> None:
            await self.desk.set_driver(member, praise_id, declines=form.word("declines") == "1")

        return await self._do(request, work)

    async def _do(self, request: Request, work: _Work) -> Response:
        try:
            member, form = await posted(request, self.gate)
            praise_id = _praise_id(request)
            await work(member, praise_id, form)
        except TurnedAway as turned_away:
            return turned_away.response
        except NotThere:
            return problem(404, "No such praise")
        except NotAllowed:
            return problem(403, "Your role does not allow this")
        except Stale:
            return _back(form, praise_id, "&notice=outdated")
        except Impossible:
            return _back(form, praise_id, "&notice=impossible")
        return _back(form, praise_id)

    async def _choose(self, member: Member, praise_id: uuid.UUID) -> Chosen:
        shown, timeline = await self.desk.one(member, praise_id)
        language = None if shown.comment is None else self.languages.of(shown.comment.text)
        return Chosen(shown, timeline, language)


def _praise_id(request: Request) -> uuid.UUID:
    praise_id = read_uuid(request.path_params["praise_id"])
    if praise_id is None:
        raise NotThere
    return praise_id


def _back(form: Form, praise_id: uuid.UUID, notice: str = "") -> Response:
    tab = form.word("show")
    place = f"/praise?show={tab if tab in TABS else 'waiting'}&id={praise_id}{notice}"
    return RedirectResponse(place, 303, headers={"cache-control": "no-store"})


def _further(tab: str, terminal: str | None, after: Cursor | None) -> str:
    """The address of the next page; empty where there is none."""
    if after is None:
        return ""
    place = {"terminal": terminal} if terminal else {}
    return f"/praise?{urlencode({'show': tab, **place, 'after': written(after)})}"


def _after_of(text: str) -> Cursor | None:
    """Where the page before ended; none where the address does not say it well."""
    try:
        return read_cursor(text)
    except ValueError:
        return None
