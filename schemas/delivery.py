"""Deliveries: what upstream logistics systems tell us."""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.contract import (
    Clean,
    Contract,
    Country,
    Flag,
    Identifier,
    Instant,
    Language,
    Name,
    PostcodePrefix,
    Revision,
    Zone,
)


class Method(StrEnum):
    """How the parcel reached the recipient."""

    SERVICE_POINT = "service_point"
    PARCEL_LOCKER = "parcel_locker"
    HOME_DAY = "home_day"
    HOME_EVENING = "home_evening"
    SAME_DAY = "same_day"
    HOME_BOX = "home_box"
    IN_HOME_CODE = "in_home_code"
    IN_HOME_DIGITAL_LOCK = "in_home_digital_lock"
    WORKPLACE = "workplace"
    NEIGHBOUR = "neighbour"
    OTHER = "other"


class Touchpoint(StrEnum):
    """Where the person met the carrier."""

    HOME = "home"
    SHOP_PICKUP = "shop_pickup"
    LOCKER = "locker"
    RETURN = "return"
    ENQUIRY = "enquiry"


class DeliveryException(StrEnum):
    """What went wrong, as known at the moment of delivery."""

    DAMAGED = "damaged"
    OPENED = "opened"
    PARTIAL = "partial"
    CUSTOMS_HOLD = "customs_hold"
    CLAIM_OPEN = "claim_open"
    RETURNED = "returned"


class Holder(StrEnum):
    """Who held the parcel on a leg."""

    MERCHANT = "merchant"
    LINE_HAUL = "line_haul"
    TERMINAL = "terminal"
    DRIVER = "driver"
    SERVICE_POINT = "service_point"
    OTHER_CARRIER = "other_carrier"


class HandOver(Contract):
    """The beginning of a leg: who took the parcel over, when, and what was seen of it then."""

    holder: Holder
    """What kind of party took it over."""
    code: Identifier | None = None
    """The holder's code; of a driver the pseudonym. Never a name."""
    at: Instant
    """When it was taken over."""
    noticed: Annotated[tuple[DeliveryException, ...], Field(max_length=10)] = ()
    """What was already wrong with it at that moment."""


class DeliveryFacts(Contract):
    """The attribution snapshot, frozen at the moment of delivery. Holds no personal data of the recipient."""

    delivery_id: Identifier
    """The delivery: one parcel to one recipient. Unique for ever, never used again. Source: upstream."""
    consignment_id: Identifier | None = None
    """The consignment that the parcel belongs to."""
    order_id: Identifier | None = None
    """The merchant's order; an order is asked about once."""
    drop_id: Identifier | None = None
    """The stop: parcels that reached the same person at the same moment share it and are asked about once."""
    carrier: Name
    """The carrier that handed the parcel over: the party that is rated."""
    merchant_id: Identifier | None = None
    """The shop that sold the goods, as a stable code; merchant policies hang on it."""
    merchant_name: Name | None = None
    """The shop's name as recipients know it."""
    terminal: Name | None = None
    """The terminal that the parcel was sent out from."""
    route: Name | None = None
    """The route or round that it was on."""
    driver: Identifier | None = None
    """Pseudonym of the driver, never a name or staff number; the key to it stays upstream."""
    service_point: Name | None = None
    """The service point, locker or shop, where that was the place."""
    country: Country
    """The country of the recipient's address; it decides which law applies."""
    postcode_prefix: PostcodePrefix | None = None
    """The beginning of the recipient's postcode, for areas and disruptions."""
    method: Method
    """How the parcel reached the recipient."""
    method_chosen_by_recipient: Flag | None = None
    """True when the recipient chose the method, false when it was assigned, none when unknown."""
    promised_from: Instant | None = None
    """The beginning of the time window that was promised."""
    promised_until: Instant | None = None
    """The end of the time window that was promised."""
    late: Flag | None = None
    """True when the promise was broken, by the carrier's own rule; none when nothing was promised."""
    disruption: Identifier | None = None
    """The disruption that the delivery fell in, where one was known; the notifier fills it in when it decides."""
    called_ahead: Flag | None = None
    """True when the driver called before the delivery."""
    rescheduled: Flag | None = None
    """True when the promised window was moved after the first promise."""
    attempt: Annotated[int, Field(strict=True, ge=1, le=20)] = 1
    """Which attempt succeeded, counted from 1."""
    exceptions: Annotated[tuple[DeliveryException, ...], Field(max_length=10)] = ()
    """What went wrong, as known at the moment of delivery."""
    hand_overs: Annotated[tuple[HandOver, ...], Field(max_length=30)] | None = None
    """Who held the parcel, leg by leg, the last one last; none where upstream does not know."""
    touchpoint: Touchpoint = Touchpoint.HOME
    """Where the person met the carrier."""
    occurred_at: Instant
    """When the parcel was handed over. This is the event time of all counting."""
    zone: Zone
    """The time zone of the place of delivery: days and quiet hours are counted in it."""
    proof_of_delivery: Identifier | None = None
    """A reference to the proof, never the proof itself or a door code."""

    @model_validator(mode="after")
    def _window_runs_forwards(self) -> Self:
        if self.promised_from and self.promised_until and self.promised_until < self.promised_from:
            raise ValueError("promised_until must not come before promised_from")
        return self

    @model_validator(mode="after")
    def _hand_overs_run_forwards(self) -> Self:
        if any(later.at < earlier.at for earlier, later in pairwise(self.hand_overs or ())):
            raise ValueError("hand_overs must stand in the order of their moments")
        return self


class ChannelKind(StrEnum):
    """A way to reach a person."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    APP = "app"


class ContactChannel(Contract):
    """One address of the recipient. Personal data.

    Whether the address can be reached is for the notifier to judge: a mistyped number must not cost the
    delivery its place in the books.
    """

    kind: ChannelKind
    """What sort of address it is."""
    address: Annotated[str, Field(min_length=3, max_length=1024), *Clean]
    """An e-mail address, a phone number in international form (`+46...`), or a push or app address."""


class ConsentBasis(StrEnum):
    """What the sender can show for being allowed to ask (see `docs/privacy.md`)."""

    CONSENT = "consent"
    SOFT_OPT_IN_NOTICE = "soft_opt_in_notice"
    OWN_CUSTOMER = "own_customer"
    LEGITIMATE_INTEREST = "legitimate_interest"
    OBJECTION = "objection"


class ConsentEvidence(Contract):
    """One piece of evidence about being allowed, or not allowed, to ask this person."""

    basis: ConsentBasis
    """What can be shown.

    `consent`: agreed beforehand. `soft_opt_in_notice`: bought from the sender and was told about such
    messages and how to object when the address was taken. `own_customer`: bought from the sender.
    `legitimate_interest`: the sender has weighed the interests and recorded it. `objection`: declined;
    nothing else outweighs it.
    """
    purpose: Name | None = None
    """What it was given for, in the sender's words; none means delivery surveys."""
    given_at: Instant | None = None
    """When it was given."""
    source: Name | None = None
    """Where it was given, for example `checkout` or `app`."""


class PersonalData(Contract):
    """The `pii` block: never leaves the inbound topic in clear."""

    language: Language | None = None
    """The language that the recipient reads."""
    channels: Annotated[tuple[ContactChannel, ...], Field(max_length=10)] = ()
    """Every address that may be used, the recipient's favourite first."""
    consent: Annotated[tuple[ConsentEvidence, ...], Field(max_length=20)] = ()
    """All evidence known to the sender."""
    app_token: Annotated[str, Field(min_length=1, max_length=1024), *Clean] | None = None
    """Where to reach the carrier's app on the recipient's device."""


class DeliveryCompleted(Contract):
    """`delivery.completed.v1`: one delivery, once, key = delivery id."""

    delivery: DeliveryFacts
    """Everything as it was at the moment of delivery."""
    pii: PersonalData = PersonalData()
    """How to reach the recipient, and what may be said."""


class Correction(StrEnum):
    """What turned out otherwise."""

    RETURNED = "returned"
    CANCELLED = "cancelled"
    NOT_DELIVERED = "not_delivered"
    FACTS_CORRECTED = "facts_corrected"
    CLAIM_OPENED = "claim_opened"
    CLAIM_CLOSED = "claim_closed"


class DeliveryCorrected(Contract):
    """`delivery.corrected.v1`: a completed delivery turned out otherwise, key = delivery id."""

    delivery_id: Identifier
    """The delivery, as in `delivery.completed.v1`."""
    revision: Revision
    """Counts the corrections of this delivery from 1."""
    what: Correction
    """What turned out otherwise."""
    corrected_at: Instant
    """When upstream learned it."""
    delivery: DeliveryFacts | None = None
    """All the facts as they should have been; needed with `facts_corrected`, for the same delivery id."""

    @model_validator(mode="after")
    def _facts_belong_here(self) -> Self:
        if self.what is Correction.FACTS_CORRECTED and self.delivery is None:
            raise ValueError("facts_corrected needs the facts")
        if self.delivery is not None and self.delivery.delivery_id != self.delivery_id:
            raise ValueError("the facts must be those of the same delivery")
        return self
