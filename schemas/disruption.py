"""Disruptions: events that hurt deliveries in an area, and what to do about surveys meanwhile."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.contract import (
    Clean,
    Contract,
    Country,
    Identifier,
    Instant,
    Language,
    Name,
    PostcodePrefix,
    Revision,
)

Notice = Annotated[str, StringConstraints(min_length=1, max_length=500), *Clean]
"""A sentence or two for recipients: 1 to 500 characters, no markup."""


class DisruptionState(StrEnum):
    """Where the disruption stands."""

    PLANNED = "planned"
    ACTIVE = "active"
    OVER = "over"
    WITHDRAWN = "withdrawn"


class DisruptionKind(StrEnum):
    """What causes it."""

    WEATHER = "weather"
    ROAD = "road"
    RAIL = "rail"
    SEA = "sea"
    AIR = "air"
    STRIKE = "strike"
    IT = "it"
    CAPACITY = "capacity"
    OTHER = "other"


class SurveyPolicy(StrEnum):
    """What to do with surveys in the area: hold them, use other words, or ask and report apart."""

    PAUSE = "pause"
    REWORD = "reword"
    TAG = "tag"


class Area(Contract):
    """A part of the network. Lists that are empty set no limit; lists that are filled must all match."""

    country: Country
    """The country."""
    postcode_prefixes: tuple[PostcodePrefix, ...] = ()
    """Postcodes that begin with one of these."""
    terminals: tuple[Name, ...] = ()
    """Deliveries by way of one of these terminals."""
    routes: tuple[Name, ...] = ()
    """Deliveries on one of these routes."""


class DeliveryDisruption(Contract):
    """`delivery.disruption.v1`: the disruption as it stands after this revision, key = disruption id."""

    disruption_id: Identifier
    """The disruption. Source: traffic management upstream."""
    revision: Revision
    """Counts the changes of this disruption from 1."""
    state: DisruptionState
    """Where it stands; only `planned` and `active` touch surveys."""
    kind: DisruptionKind
    """What causes it."""
    policy: SurveyPolicy = SurveyPolicy.TAG
    """A hint what to do with surveys; the notifier's own settings may be stricter."""
    areas: tuple[Area, ...] = Field(min_length=1, max_length=500)
    """Where; one match is enough."""
    starts_at: Instant
    """Deliveries from this moment on are touched."""
    ends_at: Instant | None = None
    """Deliveries before this moment are touched; none means until further notice."""
    text: dict[Language, Notice] = Field(default_factory=dict)
    """What to tell recipients, by language."""
    published_at: Instant
    """When this revision was made."""

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.ends_at is not None and self.ends_at < self.starts_at:
            raise ValueError("ends_at must not come before starts_at")
        return self
