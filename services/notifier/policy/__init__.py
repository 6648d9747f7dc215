"""Whether, when, how and in which language to ask. Pure: the same input gives the same decision, always.

One file for each group of rules; `deciding.py` holds their order.
"""

from services.notifier.policy.deciding import (
    FALLBACK_LANGUAGE,
    LANGUAGES,
    RULES,
    SURVEY,
    decide,
    normalised,
    reachable,
)
from services.notifier.policy.sections import Policies
from services.notifier.policy.shapes import (
    Ask,
    Contacted,
    History,
    Match,
    Preference,
    Rules,
    Situation,
    Suppress,
)

__all__ = [
    "FALLBACK_LANGUAGE",
    "LANGUAGES",
    "RULES",
    "SURVEY",
    "Ask",
    "Contacted",
    "History",
    "Match",
    "Policies",
    "Preference",
    "Rules",
    "Situation",
    "Suppress",
    "decide",
    "normalised",
    "reachable",
]
