"""Invitations: what was decided about each delivery, and what came of it."""

from enum import StrEnum

from pydantic import Field

from schemas.contract import Contract, Identifier, Instant, Name
from schemas.delivery import ChannelKind, DeliveryFacts


class Outcome(StrEnum):
    """Where the decision stands. Exactly one holds at any time (identity E4)."""

    SCHEDULED = "scheduled"
    ASKED = "asked"
    SUPPRESSED = "suppressed"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


class InvitationDecided(Contract):
    """`invitation.decided.v1`: one message a revision, key = delivery id."""

    delivery: DeliveryFacts
    kind: str = "ask"
    revision: int = Field(ge=1)
    outcome: Outcome
    reason: Identifier | None = None
    matched: tuple[Identifier, ...] = ()
    evidence: dict[str, str] = {}
    next_eligible_at: Instant | None = None
    invitation_id: str | None = None
    token_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    channel: ChannelKind | None = None
    language: str | None = None
    survey: Identifier | None = None
    due_at: Instant | None = None
    expires_at: Instant | None = None
    decided_at: Instant
    brand: Name | None = None
