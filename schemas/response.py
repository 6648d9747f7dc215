"""Responses: what the recipient answered."""

from pydantic import Field

from schemas.contract import Contract, Identifier, Instant
from schemas.delivery import DeliveryFacts


class ResponseRecorded(Contract):
    """`response.recorded.v1`: the whole answer as it stands after this revision, key = response id."""

    response_id: str
    revision: int = Field(ge=1)
    invitation_id: str
    score: int | None = Field(default=None, ge=1, le=5)
    scale: Identifier = "smiley5.v1"
    reasons: tuple[Identifier, ...] = ()
    commented: bool = False
    contested: bool = False
    wants_contact: bool = False
    channel: str | None = None
    language: str | None = None
    survey: Identifier | None = None
    answered_at: Instant
    recorded_at: Instant
    delivery: DeliveryFacts
