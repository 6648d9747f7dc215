"""Keeps the search index of comments in step with the answers."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.response import ResponseRecorded
from services.chassis.postgres import Database, named_sql
from services.survey.comments.languages import Languages
from services.survey.comments.query import CONFIGURATIONS, facts_of
from services.survey.comments.texts import Comment, Texts
from services.survey.followup import Responses
from services.survey.praise.scrub import readable, scrub

SQL = named_sql("services.survey", "comments.sql")


@dataclass(frozen=True, slots=True)
class IndexComments:
    """Puts comments into the index as answers come and change, and takes erased ones out."""

    texts: Texts
    languages: Languages

    async def __call__(self, connection: Database, batch: Responses, /) -> None:
        """React to a batch, inside the fence's transaction."""
        commented = [r.message for r in batch if r.message.commented or r.message.erased]
        if not commented:
            return
        texts = await self.texts.of(connection, [uuid.UUID(m.response_id) for m in commented])
        there = [(m, c) for m in commented if (c := texts.get(uuid.UUID(m.response_id))) is not None and not m.erased]
        kept = {m.response_id for m, _ in there}
        await forget(connection, [uuid.UUID(m.response_id) for m in commented if m.response_id not in kept])
        if there:
            rows = [self._row(message, comment) for message, comment in there]
            await connection.execute(SQL["index_comments"], *map(list, zip(*rows, strict=True)))

    def _row(self, message: ResponseRecorded, comment: Comment) -> tuple[object, ...]:
        facts = message.known
        language = self.languages.of(comment.text)
        lexemes = facts_of(
            score=message.score,
            reasons=message.reasons,
            terminal=facts.terminal,
            service_point=facts.service_point,
            language=language,
        )
        return (
            uuid.UUID(message.response_id),
            message.revision,
            readable(scrub(comment.text, facts.country, comment.names, comment.masked)),
            CONFIGURATIONS[language],
            language,
            "\n".join(lexemes),
            message.score,
            ",".join(message.reasons),
            facts.terminal,
            facts.service_point,
            message.answered_at,
        )


async def forget(connection: Database, responses: Iterable[uuid.UUID]) -> None:
    """Take comments out of the index, as when their person is erased."""
    await connection.execute(SQL["forget_comments"], list(responses))
