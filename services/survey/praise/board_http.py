"""Whiteboards over HTTP: with a key in the address for screens, which cannot sign in, and for signed-in staff."""

from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.chassis.http import problem
from services.chassis.staff import EVERYWHERE, Gate, Member, Role
from services.survey.praise.board import Board, Boards
from services.survey.praise.board_page import LANGUAGES, BoardPage

_LONGEST_KEY = 64


@dataclass(frozen=True, slots=True)
class BoardRoutes:
    """`/whiteboard`; with `?part=now` only what is inside the page, for its own refreshing."""

    boards: Boards
    gate: Gate
    page: BoardPage

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/whiteboard", self.choose),
            Route("/whiteboard/{terminal:str}", self.for_staff),
            Route("/whiteboard/{terminal:str}/{key:str}", self.for_screen),
        ]

    async def choose(self, request: Request) -> Response:
        """The boards that this member may look at."""
        member = self.gate.who(request)
        if member is None:
            return self.gate.turn_away(request)
        terminals = [t for t in await self.boards.terminals() if member.may(Role.READER, t)]
        links = "".join(f'<li><a href="/whiteboard/{quote(t, safe="")}">{escape(t)}</a></li>' for t in terminals)
        body = self.page.render_list(Markup(links))  # noqa: S704 quoted and escaped above
        return Response(body, headers=self.page.headers, media_type="text/html")

    async def for_staff(self, request: Request) -> Response:
        """The board of a terminal for a member who may read there, in English or as `?lang=` says."""
        member = self.gate.who(request)
        if member is None:
            return self.gate.turn_away(request)
        terminal = request.path_params["terminal"]
        if not _may_read(member, terminal):
            return problem(403, "Your role does not allow this")
        language = request.query_params.get("lang", "en")
        return await self._show(request, Board(terminal, terminal, language if language in LANGUAGES else "en"))

    async def for_screen(self, request: Request) -> Response:
        """The board behind a key; a wrong key and a wrong terminal look the same."""
        terminal, key = request.path_params["terminal"], request.path_params["key"]
        board = None
        if len(key) <= _LONGEST_KEY and "\x00" not in terminal:
            board = await self.boards.by_key(terminal, key)
        return problem(404, "No such board") if board is None else await self._show(request, board)

    async def _show(self, request: Request, board: Board) -> Response:
        view = await self.boards.view(board)
        part = request.query_params.get("part") == "now"
        body = self.page.render_now(view) if part else self.page.render(view)
        return Response(body, headers=self.page.headers, media_type="text/html")


def _may_read(member: Member, terminal: str) -> bool:
    return terminal != EVERYWHERE and "\x00" not in terminal and member.may(Role.READER, terminal)
