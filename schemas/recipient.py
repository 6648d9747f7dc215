"""What recipients tell us about themselves and their parcel, by pseudonym."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.contract import Contract, Flag, Identifier, Instant, Revision
from schemas.delivery import ChannelKind, DeliveryFacts


class DeliveryContested(Contract):
    """`delivery.contested.v1`: the recipient says that the parcel never came, key = delivery id."""

    delivery_id: Identifier
    """The delivery, as in `delivery.completed.v1`."""
    revision: Revision
    """Counts what was said about this delivery from 1; the highest holds."""
    response_id: Identifier
    """The response in which it was said. A pseudonym."""
    withdrawn: Flag = False
    """True when the recipient took it back: the parcel came after all."""
    proof_of_delivery: Identifier | None = None
    """The reference to the proof that upstream gave."""
    contested_at: Instant
    """When it was said."""
    delivery: DeliveryFacts
    """The attribution snapshot of the delivery."""


class PreferenceSource(StrEnum):
    """Where a preference was expressed."""

    PAGE = "page"
    REPLY = "reply"
    UNSUBSCRIBE = "unsubscribe"
    STAFF = "staff"


class PreferenceChanged(Contract):
    """`preference.changed.v1`: how often and where a person may be asked, key = person id."""

    person_id: Identifier
    """Pseudonym of the recipient, as in `invitation.decided.v1`."""
    revision: Revision
    """Counts the changes that one writer made to this person's preferences, from 1; `changed_at` orders writers."""
    never: Flag = False
    """True when the person must never be asked again; nothing outweighs it."""
    most_per_year: Annotated[int, Field(strict=True, ge=1, le=366)] | None = None
    """At most this many requests in 365 days; none means that the carrier's own budget holds."""
    only_channel: ChannelKind | None = None
    """The one channel that may be used; none means any."""
    source: PreferenceSource
    """Where it was said."""
    changed_at: Instant
    """When it was said."""


class PersonErased(Contract):
    """`person.erased.v1`: a person's data must be erased everywhere, key = person id. Counters stay."""

    person_id: Identifier
    """Pseudonym of the recipient, as in `invitation.decided.v1`."""
    requested_at: Instant
    """When the erasure was asked for; data that came before it goes."""
