"""What part of the cases is looked at, as the address tells. Pure; what is not offered is no filter."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from urllib.parse import urlencode

from schemas.feedback import CaseState, CaseTrigger

TABS: Final = {
    "open": ("Open", (CaseState.OPEN, CaseState.REOPENED)),
    "mine": ("Mine", (CaseState.OPEN, CaseState.REOPENED, CaseState.CONTACTED, CaseState.WAITING)),
    "contacted": ("Contacted", (CaseState.CONTACTED, CaseState.WAITING)),
    "resolved": ("Resolved", (CaseState.RESOLVED,)),
    "all": ("All", tuple(CaseState)),
}
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Filters:
    """Which cases are listed.

    Attributes:
        tab: a group of states, one of `TABS`.
        terminal: the desk; empty means any.
        trigger: a reason for which the case was opened; empty means any.
        reason: a reason chip of the answer.
        day: the day of the delivery.
        text: looked for in comment, number and facts.
    """

    tab: str = "open"
    terminal: str = ""
    trigger: str = ""
    reason: str = ""
    day: date | None = None
    text: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Filters":
        """Read the filters of an address. Wrong ones are left out: an old link still opens the page."""
        tab, trigger = query.get("tab", "open"), query.get("trigger", "")
        return cls(
            tab=tab if tab in TABS else "open",
            terminal=_clean(query.get("terminal", "")),
            trigger=trigger if trigger in set(CaseTrigger) else "",
            reason=_clean(query.get("reason", "")),
            day=_day(query.get("day", "")),
            text=_clean(query.get("q", "")),
        )

    @property
    def states(self) -> tuple[CaseState, ...]:
        """The states of the tab."""
        return TABS[self.tab][1]

    def on(self, tab: str) -> "Filters":
        """The same filters on another tab."""
        return replace(self, tab=tab)

    def address(self, case: str = "", path: str = "/cases") -> str:
        """The address of this view, with a case chosen where one is given."""
        told = {
            "tab": "" if self.tab == "open" else self.tab,
            "terminal": self.terminal,
            "trigger": self.trigger,
            "reason": self.reason,
            "day": self.day.isoformat() if self.day else "",
            "q": self.text,
            "case": case,
        }
        query = urlencode({name: value for name, value in told.items() if value})
        return f"{path}?{query}" if query else path


def _clean(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:_LONGEST].strip()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
