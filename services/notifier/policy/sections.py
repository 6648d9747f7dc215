"""What a carrier may set about asking, section by section. Pure models; `services/notifier/policies.py` reads files.

Every section has defaults that forbid nothing: what holds in an installation stands in its files.
"""

import re
from collections.abc import Mapping
from datetime import time
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from schemas.contract import Country, Identifier, Language
from schemas.delivery import ConsentBasis, DeliveryException
from schemas.disruption import DisruptionKind, SurveyPolicy

Share = Annotated[float, Field(ge=0, le=1)]
"""A share from 0 to 1."""
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_DAY = 24 * 60


def _time_of_day(value: object) -> time:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("write a time of day like 21:00")
    return time.fromisoformat(value)


TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
"""Hours and minutes on the wall."""


class Section(BaseModel):
    """A part of the policies; a field that does not exist is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class CountryRule(Section):
    """What the law of a country asks for (D13)."""

    needs: tuple[ConsentBasis, ...] = ()
    """One of these must be shown; none given: no evidence is needed. An objection always forbids."""
    source: Annotated[str, Field(min_length=1, max_length=500)] = "none"
    """Where the rule stands."""


class Countries(Section):
    """The consent gate, by the country of the delivery."""

    default: CountryRule = CountryRule()
    """For every country that is not named."""
    country: Mapping[Country, CountryRule] = Field(default_factory=dict)

    def of(self, country: str) -> CountryRule:
        """The rule of a country."""
        return self.country.get(country, self.default)


class MerchantAsk(StrEnum):
    """Who asks a merchant's customers."""

    ALLOW = "allow"
    CO_BRAND = "co_brand"
    DENY = "deny"
    MERCHANT_FIRST = "merchant_first"


class MerchantRule(Section):
    """What was agreed with a merchant."""

    ask: MerchantAsk = MerchantAsk.ALLOW
    """`allow`, `co_brand` (the shop is named in the message), `deny`, or `merchant_first`: the shop asks too."""
    merchant_share: Share = 0.5
    """With `merchant_first`: the share of orders that are the shop's to ask about."""
    hold_out: Share = 0.0
    """The share of orders that we ask nothing about, to see what our asking does to the shop's own reviews."""


class Merchants(Section):
    """Merchant policies, by merchant id."""

    default: MerchantRule = MerchantRule()
    merchant: Mapping[Identifier, MerchantRule] = Field(default_factory=dict)

    def of(self, merchant_id: str | None) -> MerchantRule:
        """The rule of a merchant."""
        return self.merchant.get(merchant_id, self.default) if merchant_id is not None else self.default


class Budget(Section):
    """At most so many requests in so many days, reminders included."""

    most: Annotated[int, Field(ge=0, le=366)]
    days: Annotated[int, Field(ge=1, le=365)]


class Contact(Section):
    """Two contact budgets for each person (C2): a person's own wish is looked at besides."""

    carrier: Budget | None = None
    """All requests of ours."""
    merchant: Budget | None = None
    """Requests about one merchant's parcels."""


class HoursRule(Section):
    """When a message may leave, by the clock on the recipient's wall."""

    quiet_from: TimeOfDay | None = None
    """`21:00`: nothing leaves from then on."""
    quiet_until: TimeOfDay | None = None
    """`08:00`: until then."""
    preferred_from: TimeOfDay | None = None
    """`16:00`: messages wait for this time of day, within what is not quiet."""
    preferred_until: TimeOfDay | None = None
    """`20:00`: until then."""
    weekends: bool = True
    """False: nothing leaves on Saturdays and Sundays."""
    holidays: bool = True
    """False: nothing leaves on the country's public holidays."""

    @model_validator(mode="after")
    def _leaves_some_time(self) -> Self:
        quiet, preferred = (self.quiet_from, self.quiet_until), (self.preferred_from, self.preferred_until)
        for one, other in (quiet, preferred):
            if (one is None) != (other is None):
                raise ValueError("give both ends of the hours, or none")
            if one is not None and one == other:
                raise ValueError("the two ends of the hours must differ")
        if None not in quiet + preferred and not _minutes(*preferred) - _minutes(*quiet):
            raise ValueError("all preferred hours are quiet")
        return self


def _minutes(start: time | None, end: time | None) -> set[int]:
    """The minutes of the day from `start` up to `end`, over midnight if need be."""
    assert start is not None
    assert end is not None
    first, last = start.hour * 60 + start.minute, end.hour * 60 + end.minute
    return {minute % _DAY for minute in range(first, last if first < last else last + _DAY)}


class Hours(Section):
    """Quiet and preferred hours, by country, and when the one reminder is due."""

    default: HoursRule = HoursRule()
    country: Mapping[Country, HoursRule] = Field(default_factory=dict)
    reminder_days: Annotated[int, Field(ge=1, le=60)] | None = None
    """So many days after the request who has not answered is reminded, once; unset: nobody is."""

    def of(self, country: str) -> HoursRule:
        """The rule of a country."""
        return self.country.get(country, self.default)


class Sampling(Section):
    """Which share of deliveries is asked about: a merchant's share outweighs a country's."""

    rate: Share = 1.0
    country: Mapping[Country, Share] = Field(default_factory=dict)
    merchant: Mapping[Identifier, Share] = Field(default_factory=dict)

    def of(self, country: str, merchant_id: str | None) -> float:
        """The share for one delivery."""
        by_country = self.country.get(country, self.rate)
        return by_country if merchant_id is None else self.merchant.get(merchant_id, by_country)


class Disruptions(Section):
    """What is done while deliveries are disrupted: the stricter of this and of what the disruption says (E9)."""

    default: SurveyPolicy = SurveyPolicy.TAG
    kind: Mapping[DisruptionKind, SurveyPolicy] = Field(default_factory=dict)

    def of(self, kind: DisruptionKind) -> SurveyPolicy:
        """The policy for a cause."""
        return self.kind.get(kind, self.default)


class Exceptions(Section):
    """Deliveries that went wrong are not asked about, but for these."""

    ask_about: tuple[DeliveryException, ...] = ()
    """`damaged` may be asked about, with the survey for damaged parcels."""

    @field_validator("ask_about")
    @classmethod
    def _has_a_survey(cls, given: tuple[DeliveryException, ...]) -> tuple[DeliveryException, ...]:
        if set(given) - {DeliveryException.DAMAGED}:
            raise ValueError("only damaged has a survey of its own")
        return given


class Languages(Section):
    """What to write in where there is no message in the recipient's own language."""

    fallback: Mapping[Language, tuple[Language, ...]] = Field(default_factory=dict)
    """Languages that the readers of one understand, the best first."""
    country: Mapping[Country, Language] = Field(default_factory=dict)
    """The language of a country, for those whose own is not known or has no relative."""
    last: Language | None = "en"
    """The last resort; unset: who reads none of the others is not asked."""


class Policies(Section):
    """All sections as they hold at one moment."""

    ids: tuple[str, ...] = ()
    """Which versions these are, such as `countries.v1`; goes with every decision."""
    countries: Countries = Countries()
    merchants: Merchants = Merchants()
    contact: Contact = Contact()
    hours: Hours = Hours()
    sampling: Sampling = Sampling()
    disruptions: Disruptions = Disruptions()
    exceptions: Exceptions = Exceptions()
    languages: Languages = Languages()
