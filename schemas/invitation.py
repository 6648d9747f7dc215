"""Invitations: what was decided about each delivery, and what came of it."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.contract import Clean, Contract, Identifier, Instant, Language, Name, Revision
from schemas.delivery import ChannelKind, DeliveryFacts

Fact = Annotated[str, StringConstraints(max_length=200), *Clean]
"""A piece of evidence in words or numbers: at most 200 characters, no personal data."""


class Outcome(StrEnum):
    """Where the decision stands. Exactly one holds at any time.

    `delivered = asked + suppressed + pending + failed` must hold in all counting; `scheduled` and
    `in_doubt` are the pending ones.
    """

    SCHEDULED = "scheduled"
    ASKED = "asked"
    SUPPRESSED = "suppressed"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


class ProgressStep(StrEnum):
    """How far an invitation got, beside what was decided and answered."""

    REACHED = "reached"
    """A receipt says that the message arrived."""
    OPENED = "opened"
    """A person touched the page: a link scanner only loads it."""


class InvitationProgress(Contract):
    """`invitation.progress.v1`: an invitation got one step further, key = delivery id.

    A step may be told more than once; it counts once for each delivery. That a person answered says that the page was
    opened, so `opened` need not be told of those.
    """

    invitation_id: Identifier
    """The invitation; a pseudonym."""
    step: ProgressStep
    """The step."""
    delivery: DeliveryFacts
    """The attribution snapshot of the delivery."""
    channel: Identifier | None = None
    """The channel of the message that arrived, or where the page was opened (`web`)."""
    language: Language | None = None
    """The language of the message."""
    at: Instant
    """When it was noted."""


class InvitationDecided(Contract):
    """`invitation.decided.v1`: the decision as it stands after this revision, key = delivery id."""

    delivery: DeliveryFacts
    """The attribution snapshot of the delivery, the same in every revision: all that is counted counts by it."""
    corrected: DeliveryFacts | None = None
    """The facts as upstream corrected them, or as a disruption marked them, between the decision and the message: what
    the message and the page say. None where they are those of the snapshot."""
    kind: Identifier = "ask"
    """What was decided about: `ask` is the survey itself. One decision for each delivery and kind."""
    revision: Revision
    """Counts the changes of this decision from 1."""
    outcome: Outcome
    """Where the decision stands."""
    reason: Identifier | None = None
    """Why it was suppressed or why it failed: the code of the first rule that matched."""
    matched: Annotated[tuple[Identifier, ...], Field(max_length=50)] = ()
    """The codes of all rules that matched, in the order of the rules."""
    evidence: dict[Identifier, Fact] = Field(default_factory=dict)
    """What the rules looked at, for people who ask why; no personal data."""
    next_eligible_at: Instant | None = None
    """The first moment at which the suppressing rule would let this person be asked again."""
    invitation_id: Identifier | None = None
    """The invitation, once there is one; a pseudonym."""
    person_id: Identifier | None = None
    """Pseudonym of the recipient, the same at every delivery to the same address: 32 hex digits made with the
    installation's key, so that nobody can find it by trying numbers. Preferences and erasure go by it."""
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the link's token, 64 hex digits. The token itself goes to the recipient only."""
    check_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Keyed digest of the delivery id and the last six characters of the link, 32 hex digits: by it a person who has
    both learns whether a message is ours, and nobody else learns anything."""
    channel: ChannelKind | None = None
    """The channel chosen."""
    language: Language | None = None
    """The language of the message, which may be a fallback for the recipient's own."""
    survey: Identifier | None = None
    """The survey and its version."""
    due_at: Instant | None = None
    """When the message is due."""
    sent_at: Instant | None = None
    """When the message that the person got last left, or may have left: the request, or its reminder by text message.
    Told with `asked` and `in_doubt`."""
    expires_at: Instant | None = None
    """When the link stops taking answers."""
    decided_at: Instant
    """When this revision was made."""
    brand: Name | None = None
    """The name under which the recipient is asked."""

    @property
    def known(self) -> DeliveryFacts:
        """The facts as they are known: the corrected ones, or the snapshot."""
        return self.corrected or self.delivery

    @model_validator(mode="after")
    def _silence_has_a_reason(self) -> Self:
        if self.outcome is Outcome.SUPPRESSED and self.reason is None:
            raise ValueError("suppressed needs a reason")
        return self
