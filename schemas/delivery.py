"""Deliveries: what upstream logistics systems tell us."""

from enum import StrEnum

from pydantic import Field

from schemas.contract import Contract, Identifier, Instant, Name


class Method(StrEnum):
    """How the parcel reached the recipient (vocabulary S0 21)."""

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


class DeliveryFacts(Contract):
    """The attribution snapshot (C5), frozen at the moment of delivery. Holds no personal data."""

    delivery_id: Identifier
    consignment_id: Identifier | None = None
    order_id: Identifier | None = None
    drop_id: Identifier | None = None
    carrier: Name
    merchant_id: Identifier | None = None
    merchant_name: Name | None = None
    terminal: Name | None = None
    route: Name | None = None
    driver: Identifier | None = None
    service_point: Name | None = None
    country: str = Field(pattern=r"^[A-Z]{2}$")
    postcode_prefix: str | None = Field(default=None, pattern=r"^[A-Z0-9]{1,4}$")
    method: Method
    method_chosen_by_recipient: bool | None = None
    promised_from: Instant | None = None
    promised_until: Instant | None = None
    late: bool | None = None
    attempt: int = Field(default=1, ge=1, le=20)
    exceptions: tuple[DeliveryException, ...] = ()
    touchpoint: Touchpoint = Touchpoint.HOME
    occurred_at: Instant
    zone: str
    proof_of_delivery: Identifier | None = None


class ChannelKind(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    APP = "app"


class ContactChannel(Contract):
    kind: ChannelKind
    address: str = Field(min_length=3, max_length=254)


class ConsentEvidence(Contract):
    basis: str
    purpose: str | None = None
    given_at: Instant | None = None
    source: Name | None = None


class PersonalData(Contract):
    """The `pii` block: never leaves the inbound topic in clear."""

    language: str | None = Field(default=None, pattern=r"^[a-z]{2}$")
    channels: tuple[ContactChannel, ...] = ()
    consent: tuple[ConsentEvidence, ...] = ()


class DeliveryCompleted(Contract):
    """`delivery.completed.v1`."""

    delivery: DeliveryFacts
    pii: PersonalData = PersonalData()
