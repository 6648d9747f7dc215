"""Whether, when, how and in which language to ask. Pure: the same input gives the same decision, always.

Rules are looked at in the order of `RULES`; the first that matches decides, all that match are recorded, so
that a person can read later why nobody asked.
"""

import re
from collections.abc import Callable
from datetime import timedelta

from schemas.delivery import ChannelKind, ConsentBasis, ContactChannel, DeliveryCompleted
from services.notifier.policy.shapes import Ask, Match, Rules, Situation, Suppress

SURVEY = "delivery.v1"
LANGUAGES = ("sv", "nb", "nn", "da", "fi", "en", "de")
FALLBACK_LANGUAGE = "en"
"""Used, and recorded as evidence, where the recipient's own language has no template yet."""
_PHONE = re.compile(r"\+[1-9][0-9]{5,14}", re.ASCII)
_PHONE_MARKS = str.maketrans("", "", " -./()\u00a0\u2011\u2013")


def objected(s: Situation) -> Match | None:
    """The person declined beforehand; no other evidence outweighs it (D13)."""
    said = any(c.basis is ConsentBasis.OBJECTION for c in s.delivery.pii.consent)
    return Match("objected") if said else None


def erased(s: Situation) -> Match | None:
    """A delivery from before the recipient's erasure stays unasked; one after it is a new relation (D21)."""
    at = s.history.erased_at
    return Match("erased") if at is not None and s.delivery.delivery.occurred_at <= at else None


def exception_open(s: Situation) -> Match | None:
    """Damage, a claim or a customs hold: "how was your delivery" would hurt (S0 18, S3 41)."""
    exceptions = s.delivery.delivery.exceptions
    return Match("exception_open", {"exceptions": ",".join(exceptions)}) if exceptions else None


def drop_already_asked(s: Situation) -> Match | None:
    """Several parcels at one stop are one experience (E10)."""
    return Match("drop_already_asked") if s.history.drop_asked else None


def too_old(s: Situation) -> Match | None:
    """Replays and back-fills send nothing: the age counts from the event and from its arrival."""
    oldest = min(s.delivery.delivery.occurred_at, s.appended_at)
    age = s.now - oldest
    return Match("too_old", {"age_hours": int(age.total_seconds() // 3600)}) if age > s.rules.max_age else None


def in_the_future(s: Situation) -> Match | None:
    """An event from the future has a wrong clock; its windows would be wrong too (H82)."""
    ahead = s.delivery.delivery.occurred_at - s.now
    return Match("in_the_future", {"seconds": int(ahead.total_seconds())}) if ahead > timedelta(minutes=5) else None


def no_reachable_channel(s: Situation) -> Match | None:
    """No address, or none that we can use."""
    if reachable(s.delivery, s.rules) is not None:
        return None
    return Match("no_reachable_channel", {"given": ",".join(c.kind for c in s.delivery.pii.channels)})


RULES: tuple[Callable[[Situation], Match | None], ...] = (
    objected,
    erased,
    exception_open,
    drop_already_asked,
    in_the_future,
    too_old,
    no_reachable_channel,
)


def decide(situation: Situation) -> Ask | Suppress:
    """Decide about one delivery; nothing outside the argument is looked at."""
    matches = [m for m in (rule(situation) for rule in RULES) if m is not None]
    if matches:
        first = matches[0]
        return Suppress(first.reason, tuple(m.reason for m in matches), first.evidence, first.next_eligible_at)
    channel = reachable(situation.delivery, situation.rules)
    assert channel is not None, "no_reachable_channel did not match"
    wanted = situation.delivery.pii.language
    language = wanted if wanted in LANGUAGES else FALLBACK_LANGUAGE
    evidence: dict[str, str | int | bool] = {} if wanted == language else {"language_fallback_from": wanted or "none"}
    return Ask(channel, situation.now + situation.rules.delay, language, SURVEY, evidence)


def reachable(delivery: DeliveryCompleted, rules: Rules) -> ContactChannel | None:
    """The recipient's favourite among the addresses that can be used."""
    return next((c for c in delivery.pii.channels if c.kind in rules.channels and _looks_usable(c)), None)


def _looks_usable(channel: ContactChannel) -> bool:
    # Only what is certainly hopeless is refused here; the provider knows better than a pattern.
    match channel.kind:
        case ChannelKind.EMAIL:
            name, at, host = channel.address.rpartition("@")
            return bool(name and at and "." in host) and not channel.address.isspace()
        case ChannelKind.SMS:
            return _PHONE.fullmatch(_without_phone_marks(channel.address)) is not None
        case _:
            return True


def normalised(channel: ContactChannel) -> str:
    """The address as the person's key: one spelling for one person (H56)."""
    if channel.kind is ChannelKind.SMS:
        return f"{channel.kind}:{_without_phone_marks(channel.address)}"
    return f"{channel.kind}:{channel.address.strip().casefold()}"


def _without_phone_marks(number: str) -> str:
    # People write +46 (70) 174-06.34; a nought in brackets is not dialled from abroad.
    return number.replace("(0)", "").translate(_PHONE_MARKS)
