"""The one place where staff's side opens sealed comments; everything else asks here."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from services.chassis.failures import Poison
from services.chassis.postgres import Database, named_sql
from services.chassis.sealing import Seal

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment in clear, for as long as it is looked at.

    Attributes:
        digest: tells one comment of a response from another.
        country: of the delivery; phone numbers are read as written there.
        names: names from the answer's own contact block, to be masked.
    """

    text: str
    digest: bytes
    names: tuple[str, ...] = ()
    country: str = ""


class Texts(Protocol):
    """Opens comments by response."""

    async def of(self, connection: Database, responses: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Comment]:
        """The comments that can be read; erased ones and responses without one are missing."""


@dataclass(frozen=True, slots=True)
class SealedTexts:
    """Comments as the answers keep them."""

    seal: Seal
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "comments.sql"))

    async def of(self, connection: Database, responses: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Comment]:
        """The comments that can be read; erased ones and responses without one are missing."""
        found = {}
        for row in await connection.fetch(self._sql["sealed_comments"], list(responses)):
            try:
                text = self.seal.open(row["comment_sealed"], row["row"])
                names = self._names(row["contact"], row["row"])
            except Poison:
                log.warning("comment cannot be opened", action="skip", response_id=str(row["response_id"]))
                continue
            digest = row["comment_digest"] or hashlib.sha256(row["comment_sealed"]).digest()
            found[row["response_id"]] = Comment(text, digest, names, row["country"] or "")
        return found

    def _names(self, contact: bytes | None, row: str) -> tuple[str, ...]:
        if contact is None:
            return ()
        name = json.loads(self.seal.open(contact, f"contact {row}")).get("name")
        return (name,) if name else ()
