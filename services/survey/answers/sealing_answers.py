"""Comments and contact wishes sealed with their person's key, on the way to the commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.chassis.persons import Known, PersonKeys
from services.chassis.postgres import Database, named_sql
from services.chassis.sealing import Box
from services.survey.answers.recorded import Posted


@dataclass(frozen=True, slots=True)
class AnswerSeal:
    """Seals what people wrote. Answers without words cost nothing; one look-up serves all that have some."""

    persons: PersonKeys
    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "persons.sql"))

    async def close(self, connection: Database, posted: Sequence[Posted]) -> list[Posted]:
        """The answers with their words sealed; words of a person who was erased just now are left out.

        An answer with words is left out whole while its link is not known: nobody knows yet whose key seals it, and
        the link may become known before the answer is kept. Whoever sent it is told to try again.
        """
        links = [p.token_sha256 for p in posted if p.answer.comment is not None or p.answer.contact is not None]
        if not links:
            return list(posted)
        rows = await connection.fetch(self.sql["persons_of_links"], links)
        known = {r["token_sha256"]: Known(r["person"], r["wrapped"], r["erased_at"]) for r in rows if r["person"]}
        boxes = await self.persons.for_closing(connection, known.values())
        unknown = set(links).difference(r["token_sha256"] for r in rows)
        return [
            self._sealed(p, self._box(known.get(p.token_sha256), boxes))
            for p in posted
            if p.token_sha256 not in unknown
        ]

    def _box(self, known: Known | None, boxes: Mapping[bytes, Box]) -> Box | None:
        return self.persons.seal if known is None else boxes.get(known.person)

    def _sealed(self, posted: Posted, box: Box | None) -> Posted:
        row, answer = posted.token_sha256.hex(), posted.answer
        if box is None:
            return replace(posted, comment_digest=None)
        return replace(
            posted,
            sealed_comment=None if answer.comment is None else box.close(answer.comment, row),
            sealed_contact=None if answer.contact is None else box.close(answer.contact.as_text(), f"contact {row}"),
        )
