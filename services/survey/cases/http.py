"""The inbox over HTTP: everything works with plain forms; a stale or impossible step keeps what was typed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from services.chassis.http import NO_GUESSING, problem
from services.chassis.staff import Gate, Member, Role
from services.chassis.staff.streams import lasts, while_signed_in
from services.chassis.web.files import PageFile, file_endpoint
from services.survey.answers.responses import Rejected
from services.survey.cases.changes import CaseChanges
from services.survey.cases.desk import CaseDesk
from services.survey.cases.detail import SameDay, detail_of, same_day_of
from services.survey.cases.export import as_csv
from services.survey.cases.filters import Filters
from services.survey.cases.forms import read_form, read_picked, read_rated, read_revision, read_step
from services.survey.cases.inbox import Looking, row_of
from services.survey.cases.number import number_of, serial_of
from services.survey.cases.page import HEADERS, InboxPage, Notice
from services.survey.cases.queries import CaseQueries
from services.survey.cases.shown import Contact, Listed
from services.survey.staff.forms import Form
from services.survey.staff.refusals import Impossible, NotAllowed, NotThere, Stale

_MOST_EXPORTED: Final = 10_000
_NO_STORE: Final = {"cache-control": "no-store"}
_STALE = (
    "Somebody else changed this case while you worked on it, so nothing was saved."
    " Below is the case as it stands now, with your words kept. Look again, then save."
)
_STALE_LIST = (
    "Somebody else changed at least one of these cases after the list was shown, so none was given to anybody."
    " Those that changed are not ticked any more. Look at them, then assign again."
)
_TYPED: Final = ("judgement", "place", "nature", "note", "outcome", "send", "told")
Handler = Callable[[Request], Awaitable[Response]]


class _Foreign(Exception):
    """The form was not made for this member."""


@dataclass(frozen=True, slots=True)
class CaseRoutes:
    """The routes of the inbox."""

    gate: Gate
    cases: CaseQueries
    desk: CaseDesk
    page: InboxPage
    changes: CaseChanges
    files: Mapping[str, PageFile]
    close: Callable[[str, str], bytes]

    def routes(self) -> list[Route]:
        """All routes; those with fixed words come before the one with a case number."""
        return [
            Route("/cases", self._for_member(self._show)),
            Route("/cases/export.csv", self._for_member(self._export)),
            Route("/cases/events", self._for_member(self._events)),
            Route("/cases/assets/{name:str}", file_endpoint(self.files)),
            Route("/cases/assign", self._for_member(self._assign), methods=["POST"]),
            Route("/cases/{number:str}", self._for_member(self._act), methods=["POST"]),
            Route("/cases/{number:str}/contact", self._for_member(self._contact), methods=["POST"]),
            Route("/cases/{number:str}/rated", self._for_member(self._relabel), methods=["POST"]),
        ]

    def _for_member(self, handle: Callable[[Request, Member], Awaitable[Response]]) -> Handler:
        async def guarded(request: Request) -> Response:
            member = self.gate.who(request)
            if member is None:
                return self.gate.turn_away(request)
            if not member.may(Role.READER):
                text = "Your account has no role at any terminal. An administrator of the sign-in can give you one."
                return self._html(self.page.refusal(member, "No permission", text), 403)
            try:
                return await handle(request, member)
            except NotThere:
                text = "There is no such case, or it belongs to a terminal where you have no role."
                return self._html(self.page.refusal(member, "No such case", text), 404)
            except _Foreign:
                return problem(
                    403, "This request did not come from our pages", "Open the case again and repeat the step."
                )
            except Rejected as rejected:
                return problem(422, f"The form cannot be used: {rejected}")

        return guarded

    # -- looking --

    async def _show(self, request: Request, member: Member) -> Response:
        query = request.query_params
        looking = self._looking(member, Filters.read(query))
        number = query.get("case", "")
        chosen = await self.cases.one(member, _serial(number)) if number else None
        return self._html(await self._inbox(looking, chosen))

    async def _inbox(
        self,
        looking: Looking,
        chosen: Listed | None,
        *,
        notice: Notice | None = None,
        contact: Contact | None = None,
        contact_asked: bool = False,
    ) -> bytes:
        member = looking.member
        listed = await self.cases.listed(member, looking.filters)
        shown = chosen or (listed[0] if listed else None)
        detail = None
        if shown is not None:
            detail = detail_of(
                shown,
                await self.cases.history(member, shown.case),
                looking,
                standing=await self.cases.standing(member, shown.case),
                sends=self.desk.sends,
                same_day=await self._same_day(shown),
                contact=contact,
                contact_asked=contact_asked,
            )
        return self.page.inbox(
            looking,
            [row_of(one, detail.number if detail else "", looking) for one in listed],
            detail,
            tabs=await self.cases.tabs(member),
            desks=await self.cases.desks(member),
            owners=await self.cases.owners(member),
            form_secret=self.gate.form_secret(member),
            explicit=chosen is not None,
            notice=notice,
        )

    async def _same_day(self, shown: Listed) -> SameDay | None:
        case = shown.case
        by_reason = bool(case.reasons)
        about = case.reasons[0] if by_reason else str(case.opened_because[0])
        cases, still_open = await self.cases.same_day(case, about)
        return same_day_of(case, about, cases, still_open, by_reason=by_reason)

    async def _export(self, request: Request, member: Member) -> Response:
        listed = await self.cases.listed(member, Filters.read(request.query_params), _MOST_EXPORTED)
        headers = {**_NO_STORE, **NO_GUESSING, "content-disposition": 'attachment; filename="cases.csv"'}
        return Response(as_csv(listed), headers=headers, media_type="text/csv; charset=utf-8; header=present")

    async def _events(self, request: Request, member: Member) -> Response:
        headers = {**_NO_STORE, "x-accel-buffering": "no"}
        events = while_signed_in(self.changes.events(member), lasts(self.gate, request))
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    # -- working --

    async def _act(self, request: Request, member: Member) -> Response:
        form, serial, looking = await self._asked(request, member)
        listed = await self.cases.one(member, serial)
        case_id = str(listed.case.case_id)
        step = read_step(form, await self.cases.owners(member), lambda text: self.close(text, case_id))
        try:
            case = await self.desk.perform(member, serial, read_revision(form), step)
        except Stale:
            return await self._again(looking, serial, form, _STALE, 412)
        except Impossible as impossible:
            return await self._again(looking, serial, form, str(impossible), 409)
        except NotAllowed as refused:
            return await self._again(looking, serial, form, str(refused), 403)
        return RedirectResponse(looking.filters.address(case.number), 303, headers=_NO_STORE)

    async def _again(self, looking: Looking, serial: int, form: Form, text: str, status: int) -> Response:
        """The page again with what was typed: nothing was saved."""
        chosen = await self.cases.one(looking.member, serial)
        notice = Notice(text, {name: form.word(name) for name in _TYPED})
        return self._html(await self._inbox(looking, chosen, notice=notice), status)

    async def _contact(self, request: Request, member: Member) -> Response:
        form, serial, looking = await self._asked(request, member)
        try:
            listed, contact = await self.desk.contact(member, serial)
        except NotAllowed as refused:
            return await self._again(looking, serial, form, str(refused), 403)
        return self._html(await self._inbox(looking, listed, contact=contact, contact_asked=True))

    async def _relabel(self, request: Request, member: Member) -> Response:
        form, serial, looking = await self._asked(request, member)
        try:
            await self.desk.relabel(member, serial, read_revision(form), *read_rated(form))
        except Stale:
            return await self._again(looking, serial, form, _STALE, 412)
        except NotAllowed as refused:
            return await self._again(looking, serial, form, str(refused), 403)
        return RedirectResponse(looking.filters.address(number_of(serial)), 303, headers=_NO_STORE)

    async def _assign(self, request: Request, member: Member) -> Response:
        form = await self._our_form(request, member)
        owner, owners = form.word("owner"), await self.cases.owners(member)
        if owner not in owners:
            raise Rejected("owner", "must be somebody who works on cases here")
        revisions = {_serial(number): revision for number, revision in read_picked(form).items()}
        filters = _filters_in(form)
        try:
            await self.desk.assign(member, revisions, (owner, owners[owner]))
        except Stale:
            notice = Notice(_STALE_LIST, {"owner": owner}, frozenset(form.every("case")))
            return self._html(await self._inbox(self._looking(member, filters), None, notice=notice), 412)
        except NotAllowed as refused:
            return self._html(self.page.refusal(member, "No permission", str(refused)), 403)
        return RedirectResponse(filters.address(), 303, headers=_NO_STORE)

    async def _asked(self, request: Request, member: Member) -> tuple[Form, int, Looking]:
        """The form, the number of its case, and the view that it was posted from."""
        form = await self._our_form(request, member)
        return form, _serial(request.path_params["number"]), self._looking(member, _filters_in(form))

    async def _our_form(self, request: Request, member: Member) -> Form:
        form = await read_form(request)
        if not self.gate.form_is_ours(member, form.word("form_secret")):
            raise _Foreign
        return form

    def _looking(self, member: Member, filters: Filters) -> Looking:
        return Looking(member, filters, self.desk.deadlines, self.desk.now())

    def _html(self, body: bytes, status: int = 200) -> Response:
        return Response(body, status, headers=HEADERS, media_type="text/html")


def _filters_in(form: Form) -> Filters:
    return Filters.read(
        {name: form.word(f"view_{name}") for name in ("tab", "terminal", "trigger", "reason", "day", "q")}
    )


def _serial(number: str) -> int:
    serial = serial_of(number)
    if serial is None:
        raise NotThere
    return serial
