"""Responses: what the recipient answered."""

from typing import Annotated

from pydantic import Field

from schemas.contract import Contract, Flag, Identifier, Instant, Language, Revision, Score
from schemas.delivery import DeliveryFacts


class ResponseRecorded(Contract):
    """`response.recorded.v1`: the whole answer as it stands after this revision, key = response id.

    The comment's text stays with the survey service; here stands only that there is one.
    """

    response_id: Identifier
    """The response; one for each invitation. A pseudonym."""
    revision: Revision
    """Counts the changes of this response from 1; the highest holds."""
    invitation_id: Identifier
    """The invitation that was answered. A pseudonym."""
    score: Score | None = None
    """The face given; none when the recipient only commented or contested."""
    scale: Identifier = "smiley5.v1"
    """The faces shown and what they mean; numbers of different scales must not be mixed."""
    reasons: Annotated[tuple[Identifier, ...], Field(max_length=20)] = ()
    """The reason chips that are ticked."""
    commented: Flag = False
    """True when there is a comment."""
    contested: Flag = False
    """True when the recipient says that the parcel never came: never counted as satisfaction."""
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
