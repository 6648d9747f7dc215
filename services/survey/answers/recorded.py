"""What goes into the survey's store and comes out of it: plain facts."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from services.survey.answers.preferences import Preference
from services.survey.answers.responses import Answer


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How an answer came in, beside what it says.

    Attributes:
        suspected_machine: it looks as if a link scanner gave it.
        attempt: fingerprint of Idempotency-Key and body (`responses.attempt`); None without a key.
        only_if: the change holds only for this state of the answer (If-Match); None: for any.
    """

    suspected_machine: bool = False
    attempt: bytes | None = None
    only_if: "OnlyIf | None" = None


@dataclass(frozen=True, slots=True)
class OnlyIf:
    """The revisions that a change may be made to; `any_revision` takes every answer that exists."""

    revisions: frozenset[int]
    any_revision: bool = False

    def holds(self, revision: int | None) -> bool:
        """Whether the answer as it stands may be changed; None: there is none yet."""
        return revision is not None and (self.any_revision or revision in self.revisions)


PLAIN = Circumstances()
"""By a person, with no conditions."""


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer on its way to the commit; its words are sealed last, when the person's key is at hand."""

    token_sha256: bytes
    answer: Answer
    channel: str
    how: Circumstances
    comment_digest: bytes | None
    answered_at: datetime
    sealed_comment: bytes | None = None
    sealed_contact: bytes | None = None


class Outcome(Enum):
    """What became of an answer."""

    KEPT = "kept"
    """It is on disk, now or since an earlier attempt with the same Idempotency-Key."""
    UNKNOWN = "unknown"
    """There is no such link."""
    LOCKED = "locked"
    """The link takes no answers any more."""
    STALE = "stale"
    """The answer has changed since the revision that If-Match names; nothing was kept."""
    REUSED = "reused"
    """The Idempotency-Key came before with another body; nothing was kept."""


class About(NamedTuple):
    """The delivery that an answer is about, and the trace context of its invitation, where that was asked for."""

    delivery_id: str
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of it; `revision` is that of KEPT, or for STALE the one that stands, if any.

    `first` says that this made the answer. `about` is for the log alone: two outcomes are equal without either.
    """

    outcome: Outcome
    revision: int | None = None
    about: About | None = field(default=None, compare=False)
    first: bool = field(default=False, compare=False)

    @property
    def known(self) -> bool:
        """Whether there is such a link."""
        return self.outcome is not Outcome.UNKNOWN

    @property
    def kept(self) -> int | None:
        """The revision if the answer is on disk."""
        return self.revision if self.outcome is Outcome.KEPT else None


@dataclass(frozen=True, slots=True)
class Page:
    """What is known about a link. `named`: it leads to a person, so preferences can be kept."""

    invitation_id: uuid.UUID
    open: bool
    named: bool
    now: datetime
    expires_at: datetime
    language: str | None
    brand: str | None
    survey: str | None
    rated: str
    delivery: dict[str, Any]
    revision: int | None
    score: int | None
    reasons: tuple[str, ...]
    follow_ups: Mapping[str, int]
    commented: bool
    contested: bool
    wants_contact: bool
    preference: Preference | None

    @classmethod
    def from_row(cls, row: Any) -> "Page":
        """As `pages_of` finds it."""
        limits = {"never": row["never"], "most_per_year": row["most_per_year"], "only_channel": row["only_channel"]}
        return cls(
            invitation_id=row["invitation_id"],
            open=row["open"],
            named=row["named"],
            now=row["now"],
            expires_at=row["expires_at"],
            language=row["language"],
            brand=row["brand"],
            survey=row["survey"],
            rated=row["rated"],
            delivery=json.loads(row["delivery"]),
            revision=row["revision"],
            score=row["score"],
            reasons=tuple(row["reasons"] or ()),
            follow_ups=json.loads(row["follow_ups"] or "{}"),
            commented=bool(row["commented"]),
            contested=row["contested"],
            wants_contact=row["wants_contact"],
            preference=Preference.kept(**limits) if row["preferred"] else None,
        )
