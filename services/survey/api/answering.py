"""Answers of recipients through a program, under the same rules as the page: score, comment, merge, lock."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import Request, Response

from services.chassis.postgres import Pool, named_sql
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Circumstances, Outcome, Page
from services.survey.answers.responses import Answer, Rejected, attempt, clean_comment, contact_of, token_hash
from services.survey.api.clients import Client
from services.survey.api.keys import Scope
from services.survey.api.models import NewResponse, ResponseChange
from services.survey.api.models import Response as ResponseModel
from services.survey.api.once import Once, Reply, key_reused
from services.survey.api.problems import Problem, away
from services.survey.api.reading import Door, read_json
from services.survey.conditions import etag, idempotency_key, only_if

CHANNEL = "app"


@dataclass(frozen=True, slots=True)
class AnswerRoutes:
    """`POST /api/v1/responses`, `GET` and `PATCH /api/v1/responses/{id}`."""

    answers: Answers
    pool: Pool
    door: Door
    once: Once
    caught_up: Callable[[], Awaitable[bool]]
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "api.sql"))

    async def record(self, request: Request) -> Response:
        """Keep an answer; 2xx only after the commit."""
        client = await self.door.let_in(request, Scope.WRITE)
        expected, key = only_if(request), idempotency_key(request)
        body = await read_json(request, NewResponse)
        token_sha256 = token_hash(body.model.token)

        async def work() -> Reply:
            tried = None if key is None else attempt(f"{client.client_id} {key}", body.sha256)
            how = Circumstances(only_if=expected, attempt=tried)
            page, first = await self._keep(client, token_sha256, body.model, how)
            return _reply(HTTPStatus.CREATED if first else HTTPStatus.OK, page)

        return (await self.once.run(str(client.client_id), key, body.sha256, work)).response()

    async def change(self, request: Request) -> Response:
        """Change an answer that this program recorded, if it still stands at the revision given."""
        client = await self.door.let_in(request, Scope.WRITE)
        expected = only_if(request)
        if expected is None:
            raise Problem(HTTPStatus.PRECONDITION_REQUIRED, "Send the ETag that you saw last as If-Match")
        body = await read_json(request, ResponseChange)
        token_sha256, erased = await self._own(client, request)
        if erased:
            raise _locked()
        page, _ = await self._keep(client, token_sha256, body.model, Circumstances(only_if=expected))
        return _reply(HTTPStatus.OK, page).response()

    async def show(self, request: Request) -> Response:
        """An answer that this program recorded, without its comment."""
        client = await self.door.let_in(request, Scope.READ)
        token_sha256, _ = await self._own(client, request)
        page = await self.answers.page_for(token_sha256)
        if page is None:
            raise _unknown()
        return _reply(HTTPStatus.OK, page).response()

    async def _own(self, client: Client, request: Request) -> tuple[bytes, bool]:
        """The link's hash, and whether its person was erased since the delivery."""
        try:
            response_id = uuid.UUID(request.path_params["response_id"])
        except ValueError:
            raise _unknown() from None
        found = await self.pool.fetchrow(self.sql["token_of_own_response"], client.client_id, response_id)
        if found is None:
            raise _unknown()
        return bytes(found["token_sha256"]), found["erased"]

    async def _keep(
        self, client: Client, token_sha256: bytes, change: ResponseChange, how: Circumstances
    ) -> tuple[Page, bool]:
        answer = _answer(change)
        recorded = await self.answers.record_for(token_sha256, answer, channel=CHANNEL, how=how)
        if recorded.outcome is Outcome.UNKNOWN:
            if not await self.caught_up():
                raise away("This link is newer than this server; try again soon")
            # Its invitation may have come since.
            recorded = await self.answers.record_for(token_sha256, answer, channel=CHANNEL, how=how)
        match recorded.outcome:
            case Outcome.UNKNOWN if await self.answers.is_unread(token_sha256):
                raise away("The invitation of this link could not be read yet; try again later")
            case Outcome.UNKNOWN:
                raise _unknown()
            case Outcome.LOCKED:
                raise _locked()
            case Outcome.STALE:
                raise Problem(HTTPStatus.PRECONDITION_FAILED, "The answer has changed since; read it again")
            case Outcome.REUSED:
                raise key_reused()
        page = await self.answers.page_for(token_sha256)
        if page is None:
            raise _unknown()
        await self.pool.execute(self.sql["keep_own_response"], client.client_id, page.invitation_id)
        return page, recorded.first


def _answer(change: ResponseChange) -> Answer:
    if bool(change.wants_contact) != (change.contact is not None):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "`wants_contact` true and `contact` go together")
    try:
        comment = clean_comment(change.comment) if change.comment is not None else None
        contact = contact_of(change.contact.name or "", change.contact.address) if change.contact else None
    except Rejected as error:
        wrong = [{"at": error.field.replace("contact_", "contact."), "rule": error.rule}]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "What was written cannot be kept", errors=wrong) from None
    answer = Answer(
        score=change.score,
        reasons=None if change.reasons is None else tuple(sorted(set(change.reasons))),
        comment=comment,
        contested=change.contested,
        language=change.language,
        follow_ups=change.follow_ups.model_dump(exclude_none=True) if change.follow_ups else {},
        wants_contact=change.wants_contact,
        contact=contact,
    )
    if not answer.says_something:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "Give a score, reasons, follow_ups, a comment, contested or wants_contact"
        )
    return answer


def _reply(status: HTTPStatus, page: Page) -> Reply:
    told = ResponseModel(
        id=page.invitation_id,
        revision=page.revision or 0,
        score=page.score,
        reasons=list(page.reasons),
        follow_ups=dict(page.follow_ups),
        commented=page.commented,
        contested=page.contested,
        wants_contact=page.wants_contact,
        open=page.open,
        editable_until=page.expires_at,
    )
    return Reply(status, told.model_dump(mode="json"), etag(told.revision))


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "There is no such answer for this key")


def _locked() -> Problem:
    return Problem(HTTPStatus.LOCKED, "This answer can no longer be changed")
