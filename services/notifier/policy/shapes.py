"""What the rules look at, and what they say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.delivery import ChannelKind, ContactChannel, Correction, DeliveryCompleted
from schemas.disruption import DeliveryDisruption
from services.notifier.policy.sections import Policies

Evidence = Mapping[str, str | int | bool]
"""What a rule looked at, without personal data."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the carrier has set.

    Attributes:
        max_age: older deliveries are not asked about.
        delay: pause between delivery and request.
        channels: kinds of channel that can be used now.
        policies: the policies as they hold now.
        sampling_key: makes the draws of sampling, hold-out and turns (D7); secret, and the same for ever.
    """

    max_age: timedelta
    delay: timedelta
    channels: frozenset[ChannelKind]
    policies: Policies = field(default_factory=Policies)
    sampling_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Contacted:
    """A request or a reminder that went to the person, or is planned.

    Attributes:
        at: when it was or is due.
        merchant_id: whose parcel it was about.
    """

    at: datetime
    channel: ChannelKind
    merchant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """What the person has said: never, at most so often in 365 days, by one channel only."""

    never: bool = False
    most_per_year: int | None = None
    only_channel: ChannelKind | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What is known already, all addresses of the recipient taken together.

    Attributes:
        drop_asked: another parcel of the same drop was asked about.
        erased_at: when the recipient was last erased, by any of the addresses.
        order_asked: another parcel of the same order was asked about.
        contacts: requests and reminders of the last 365 days and those planned, in any order.
        preference: the strictest of what was said for any of the addresses.
        disruptions: the latest revision of each; which ones touch the delivery is for the rules to say.
        correction: what upstream has taken back already, when the correction came first.
        unreachable: addresses that were reported as hopeless, each with the moment until which that is believed.
    """

    drop_asked: bool = False
    erased_at: datetime | None = None
    order_asked: bool = False
    contacts: tuple[Contacted, ...] = ()
    preference: Preference = field(default_factory=Preference)
    disruptions: tuple[DeliveryDisruption, ...] = ()
    correction: Correction | None = None
    unreachable: Mapping[ContactChannel, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that says: do not ask."""

    reason: str
    evidence: Evidence = field(default_factory=dict)
    next_eligible_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask, so.

    Attributes:
        at: the first moment at which the message may leave.
        co_brand: the merchant's name, where the message names it beside the carrier's.
        notice: a sentence about a disruption, in the message's language, where the message must say it; empty: the
            message says it in words of its own.
    """

    channel: ContactChannel
    at: datetime
    language: str
    survey: str
    evidence: Evidence
    co_brand: str | None = None
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Suppress:
    """Do not ask: the reason of the first rule that matched, and the reasons and evidence of all that did."""

    reason: str
    matched: tuple[str, ...]
    evidence: Evidence
    next_eligible_at: datetime | None


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a rule may look at."""

    delivery: DeliveryCompleted
    appended_at: datetime
    history: History
    rules: Rules
    now: datetime
