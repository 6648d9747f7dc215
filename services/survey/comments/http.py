"""Comments over HTTP, for staff. What is searched for stands in the body: an address may end in a log."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.http import json_response, problem
from services.chassis.staff import Gate, Member, Role
from services.survey.comments.page import CommentsPage
from services.survey.comments.query import Search
from services.survey.comments.search import CommentSearch, Hit
from services.survey.praise.queue_page import REASONS
from services.survey.staff.cursors import in_our_time, read_cursor, written
from services.survey.staff.forms import Form, TurnedAway, posted

_LATEST: Final = 20
_NO_STORE: Final = {"cache-control": "no-store"}
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class CommentRoutes:
    """`/comments`, the same as JSON, and the fragment for the dashboard."""

    search: CommentSearch
    gate: Gate
    page: CommentsPage

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/comments", self.show, methods=["GET", "POST"]),
            Route("/comments.json", self.as_json, methods=["POST"]),
            Route("/comments/latest", self.latest),
        ]

    async def show(self, request: Request) -> Response:
        """GET shows the newest comments, POST those that were searched for."""
        try:
            member, form = await posted(request, self.gate) if request.method == "POST" else self._reader(request)
            hits, more = await self._find(member, form)
        except TurnedAway as turned_away:
            return turned_away.response
        body = self.page.render(member, self.gate.form_secret(member), hits, more=more, asked=_asked(form))
        return Response(body, headers=self.page.headers, media_type="text/html")

    async def as_json(self, request: Request) -> Response:
        """The same hits for a program; `before` of the answer asks for the next page."""
        try:
            member, form = await posted(request, self.gate)
            hits, more = await self._find(member, form)
        except TurnedAway as turned_away:
            return turned_away.response
        before = written(hits[-1].cursor) if more else None
        return json_response({"comments": [_plain(h) for h in hits], "before": before}, headers=_NO_STORE)

    async def latest(self, request: Request) -> Response:
        """The newest comments, of one terminal with `?terminal=`, as HTML to put into another page."""
        try:
            member, _ = self._reader(request)
        except TurnedAway as turned_away:
            return turned_away.response
        terminal = request.query_params.get("terminal", "").replace("\x00", "")[:_LONGEST_NAME] or None
        hits, _more = await self.search.find(
            Search(terminal=terminal, terminals=member.terminals(Role.READER)), _LATEST
        )
        return Response(self.page.render_latest(hits), headers=self.page.headers, media_type="text/html")

    def _reader(self, request: Request) -> tuple[Member, Form]:
        member = self.gate.who(request)
        if member is None:
            raise TurnedAway(self.gate.turn_away(request))
        return member, Form(())

    async def _find(self, member: Member, form: Form) -> tuple[list[Hit], bool]:
        if not member.may(Role.READER):
            raise TurnedAway(problem(403, "Your role does not allow this"))
        try:
            search = replace(_read(form), terminals=member.terminals(Role.READER))
        except ValueError:
            raise TurnedAway(problem(422, "A day is written 2026-10-13, `before` as it was given")) from None
        place = form.word("place").strip()[:_LONGEST_NAME]
        if place:
            search = await self.search.with_places(search, place)
        hits, more = await self.search.find(search)
        return list(hits), more


def _read(form: Form) -> Search:
    since, until = form.word("since"), form.word("until")
    return Search(
        text=form.word("q"),
        scores=frozenset(s for s in form.numbers("score") if s in range(1, 6)),
        reasons=frozenset(REASONS).intersection(form.every("reason")),
        terminal=form.word("terminal").replace("\x00", "").strip()[:_LONGEST_NAME] or None,
        since=_midnight(since) if since else None,
        until=_midnight(until) + timedelta(days=1) if until else None,
        before=read_cursor(form.word("before")) if form.word("before") else None,
    )


def _midnight(day: str) -> datetime:
    return in_our_time(datetime.combine(date.fromisoformat(day), time(), UTC))


def _asked(form: Form) -> dict[str, Any]:
    asked: dict[str, Any] = {name: form.word(name) for name in ("q", "terminal", "place", "since", "until")}
    return asked | {"scores": sorted(set(form.numbers("score"))), "reasons": _known(form.every("reason"))}


def _known(reasons: Iterable[str]) -> list[str]:
    return sorted(set(REASONS).intersection(reasons))


def _plain(hit: Hit) -> dict[str, Any]:
    return {
        "response_id": str(hit.response_id),
        "said_at": hit.said_at.isoformat(),
        "score": hit.score,
        "reasons": hit.reasons,
        "terminal": hit.terminal,
        "service_point": hit.service_point,
        "language": hit.language,
        "parts": [{"text": p.text} if p.mask is None else {"mask": p.mask.value} for p in hit.pieces],
    }
