"""Which address to use, and whether any can be used at all. A bad address is a reason, never an error."""

import re
from functools import cache, lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from schemas.delivery import ChannelKind, ContactChannel
from services.notifier.policy.shapes import Match, Situation

_PHONE = re.compile(r"\+[1-9][0-9]{5,14}", re.ASCII)
_PHONE_MARKS = str.maketrans("", "", " -./()\u00a0\u2011\u2013")
# What the library certainly takes, so that most addresses need not go through it; a test holds the two together.
_PLAIN_EMAIL = re.compile(r"[A-Za-z0-9_+'-]{1,32}(?:\.[A-Za-z0-9_+'-]{1,30})?@(?:[a-z0-9]{1,30}\.){1,3}[a-z]{2,10}")
_LONGEST_CODE = 3


def channel_not_wanted(s: Situation) -> Match | None:
    """The person wants to be reached one way only, and has no address there."""
    only = s.history.preference.only_channel
    if only is None or not s.delivery.pii.channels or any(c.kind is only for c in s.delivery.pii.channels):
        return None
    return Match("channel_not_wanted", {"only": only.value, "given": given(s)})


def no_reachable_channel(s: Situation) -> Match | None:
    """No address, or none of a kind that can be used now (C10)."""
    if any(c.kind in s.rules.channels for c in _wanted(s)):
        return None
    return Match("no_reachable_channel", {"given": given(s)})


def unusable_address(s: Situation) -> Match | None:
    """There are addresses of the right kind, and all of them are hopeless."""
    of_right_kind = [c for c in _wanted(s) if c.kind in s.rules.channels]
    if not of_right_kind or any(usable(c) for c in of_right_kind):
        return None
    return Match("unusable_address", {"given": given(s)})


def unreachable(s: Situation) -> Match | None:
    """All addresses that look usable were reported as hopeless by the provider or mail server."""
    looking_well = [c for c in _wanted(s) if c.kind in s.rules.channels and usable(c)]
    believed = [s.history.unreachable[c] for c in looking_well if c in s.history.unreachable]
    if not looking_well or len(believed) < len(looking_well):
        return None
    return Match("unreachable", {"given": given(s)}, min(believed))


def reachable(s: Situation) -> ContactChannel | None:
    """The recipient's favourite among the addresses that can be used and are wanted."""
    known = s.history.unreachable
    return next((c for c in _wanted(s) if c.kind in s.rules.channels and usable(c) and c not in known), None)


def given(s: Situation) -> str:
    """The kinds of the addresses, without the addresses."""
    return ",".join(c.kind for c in s.delivery.pii.channels)


def _wanted(s: Situation) -> tuple[ContactChannel, ...]:
    only = s.history.preference.only_channel
    channels = s.delivery.pii.channels
    return channels if only is None else tuple(c for c in channels if c.kind is only)


def usable(channel: ContactChannel) -> bool:
    """Whether an address may work. Only what is certainly hopeless is refused; the provider knows better."""
    return _may_work(channel.kind, channel.address)


@lru_cache(maxsize=64)  # several rules look at the same addresses
def _may_work(kind: ChannelKind, address: str) -> bool:
    if not address.isprintable():  # line ends and other controls would become headers
        return False
    match kind:
        case ChannelKind.EMAIL:
            return _email_may_work(address.strip())
        case ChannelKind.SMS:
            return _phone_may_work(as_sent(kind, address))
        case _:
            return not address.isspace()


def _email_may_work(address: str) -> bool:
    if _PLAIN_EMAIL.fullmatch(address):
        return True
    try:
        validate_email(address, check_deliverability=False, globally_deliverable=False, strict=True)
    except EmailNotValidError:
        return False
    return "." in address.rpartition("@")[2]


def _phone_may_work(number: str) -> bool:
    """In E.164 form, with a country's code and no fewer digits than that country has."""
    if not _PHONE.fullmatch(number):
        return False
    for digits in range(1, _LONGEST_CODE + 1):
        if shortest := _shortest_number(int(number[1 : 1 + digits])):
            return len(number) - 1 - digits >= shortest
    return False


@cache
def _shortest_number(country_code: int) -> int:
    """How many digits the shortest number with this country code has after it; 0 for no such code."""
    region = phonenumbers.region_code_for_country_code(country_code)
    found = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
    if found is None or found.general_desc is None:
        return 0
    return min((n for n in found.general_desc.possible_length if n > 0), default=0)


def normalised(channel: ContactChannel) -> str:
    """The address as the person's key: one spelling for one person (H56)."""
    if channel.kind is ChannelKind.SMS:
        return f"{channel.kind}:{as_sent(channel.kind, channel.address)}"
    return f"{channel.kind}:{channel.address.strip().casefold()}"


def as_sent(kind: ChannelKind, address: str) -> str:
    """The address as providers get it: a phone number without the marks that people write."""
    if kind is not ChannelKind.SMS or _PHONE.fullmatch(address):
        return address
    # People write +46 (70) 174-06.34; a nought in brackets is not dialled from abroad.
    return address.replace("(0)", "").translate(_PHONE_MARKS)
