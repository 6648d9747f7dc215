"""Responses: what the recipient answered."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.contract import Contract, Flag, Identifier, Instant, Language, Revision, Score
from schemas.delivery import DeliveryFacts


class RatedParty(StrEnum):
    """Whom an answer is about."""

    CARRIER = "carrier"
    SHOP = "shop"
    SERVICE_POINT = "service_point"


class ResponseRecorded(Contract):
    """`response.recorded.v1`: the whole answer as it stands after this revision, key = response id.

    The comment's text stays with the survey service; here stands only that there is one.
    """

    response_id: Identifier
    """The response; one for each invitation, or for each visit at a kiosk. A pseudonym."""
    revision: Revision
    """Counts the changes of this response from 1; the highest holds."""
    invitation_id: Identifier | None = None
    """The invitation that was answered. A pseudonym; none where nobody was invited (see `invited`)."""
    invited: Flag = True
    """False when the person came by and answered, as at a kiosk: must never be mixed silently with invited answers."""
    score: Score | None = None
    """The face given; none when the recipient only commented or contested."""
    scale: Identifier = "smiley5.v1"
    """The faces shown and what they mean; numbers of different scales must not be mixed."""
    follow_ups: Annotated[dict[Identifier, Annotated[int, Field(strict=True, ge=0, le=10)]], Field(max_length=10)] = (
        Field(default_factory=dict)
    )
    """Further questions that were answered, by name; what a number means stands in the survey definition."""
    reasons: Annotated[tuple[Identifier, ...], Field(max_length=20)] = ()
    """The reason chips that are ticked."""
    commented: Flag = False
    """True when there is a comment."""
    contested: Flag = False
    """True when the recipient says that the parcel never came: never counted as satisfaction."""
    rated: RatedParty = RatedParty.CARRIER
    """Whom the answer is about. Staff may re-label it; it then leaves the counters of the first party."""
    suspected_machine: Flag = False
    """True when the answer looks as if a link scanner gave it. Kept and counted in a series of its own."""
    erased: Flag = False
    """True after the person's data were erased: score and facts stay, comment and contact are gone for good."""
    wants_contact: Flag = False
    """True when the recipient wants to be contacted."""
    channel: Identifier | None = None
    """Where the answer came in, for example `web`, `sms`, `app` or `kiosk`."""
    language: Language | None = None
    """The language of the page that was answered."""
    survey: Identifier | None = None
    """The survey and its version."""
    answered_at: Instant
    """When the recipient made this change."""
    recorded_at: Instant
    """When it was stored for good."""
    delivery: DeliveryFacts
    """The attribution snapshot of the delivery, so that no reader needs another topic to count."""
    corrected: DeliveryFacts | None = None
    """The facts as they were corrected before the message left: what the person was shown and staff go by, while the
    answer counts by the snapshot. None where they are those of the snapshot."""

    @property
    def known(self) -> DeliveryFacts:
        """The facts as they are known: the corrected ones, or the snapshot."""
        return self.corrected or self.delivery
