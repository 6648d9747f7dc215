"""Which language to write in: the recipient's own, else one of an explicit chain, told as evidence (S3 40, E22)."""

from services.notifier.policy.shapes import Match, Situation

LANGUAGES = ("sv", "nb", "nn", "da", "fi", "en", "de")
"""Languages that have messages."""


def language_without_message(s: Situation) -> Match | None:
    """There is no message in the recipient's language, nor in any that the policy lets stand in for it."""
    if chosen_language(s) is not None:
        return None
    return Match("language_without_message", {"language": s.delivery.pii.language or "none"})


def chosen_language(s: Situation) -> str | None:
    """The first language of the chain that has messages: own, its relatives, the country's, the last resort."""
    policy, own = s.rules.policies.languages, s.delivery.pii.language
    if own in LANGUAGES:
        return own
    by_country = policy.country.get(s.delivery.delivery.country)
    chain = policy.fallback.get(own, ()) if own is not None else (by_country,)
    return next((language for language in (*chain, policy.last) if language in LANGUAGES), None)
