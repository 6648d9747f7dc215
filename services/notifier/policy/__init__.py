"""Whether, when, how and in which language to ask. Pure: the same input gives the same decision, always.

One file for each group of rules; `deciding.py` holds their order.
"""

from services.notifier.policy.addresses import as_sent, normalised
from services.notifier.policy.age import CLOCKS_MAY_DIFFER
from services.notifier.policy.deciding import RULES, SURVEY, decide
from services.notifier.policy.disruptions import Disrupted, before_leaving, marked
from services.notifier.policy.languages import LANGUAGES
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
    "CLOCKS_MAY_DIFFER",
    "LANGUAGES",
    "RULES",
    "SURVEY",
    "Ask",
    "Contacted",
    "Disrupted",
    "History",
    "Match",
    "Policies",
    "Preference",
    "Rules",
    "Situation",
    "Suppress",
    "as_sent",
    "before_leaving",
    "decide",
    "marked",
    "normalised",
]
