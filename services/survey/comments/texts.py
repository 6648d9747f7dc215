"""The one place where staff's side opens sealed comments; everything else asks here."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from services.chassis.persons import PersonKeys, Sealed
from services.chassis.postgres import Database, named_sql
from services.chassis.sealing import Seal
from services.survey.own_names import own_names

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment in clear, for as long as it is looked at.

    Attributes:
        digest: tells one comment of a response from another.
        country: of the delivery; phone numbers are read as written there.
        names: names from the answer's own contact block, to be masked.
        masked: numbers of words that a name masked whose contact block is gone.
    """

    text: str
    digest: bytes
    names: tuple[str, ...] = ()
    country: str = ""
    masked: frozenset[int] = frozenset()


class Texts(Protocol):
    """Opens comments by response."""

    async def of(self, connection: Database, responses: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Comment]:
        """The comments that can be read; erased ones and responses without one are missing."""


@dataclass(frozen=True, slots=True)
class SealedTexts:
    """Comments as the answers keep them."""

    seal: Seal
    _persons: PersonKeys = field(init=False)
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "comments.sql"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "_persons", PersonKeys(self.seal))

    async def of(self, connection: Database, responses: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Comment]:
        """The comments that can be read; erased ones and responses without one are missing."""
        rows = await connection.fetch(self._sql["sealed_comments"], list(responses))
        sealed = [Sealed(r["person"], r["comment_sealed"], r["row"]) for r in rows]
        contacts = [Sealed(r["person"], r["contact"], f"contact {r['row']}") for r in rows]
        opened = await self._persons.open_all(connection, [*sealed, *contacts])
        found = {}
        for row, text, contact in zip(rows, opened[: len(rows)], opened[len(rows) :], strict=True):
            # Without the name in the contact block it could not be masked.
            if text is None or (contact is None and row["contact"] is not None):
                log.warning("comment cannot be opened", action="skip", response_id=str(row["response_id"]))
                continue
            digest = row["comment_digest"] or hashlib.sha256(row["comment_sealed"]).digest()
            found[row["response_id"]] = Comment(
                text,
                digest,
                () if contact is None else own_names(contact),
                row["country"] or "",
                frozenset(row["masked_words"] or ()),
            )
        return found
