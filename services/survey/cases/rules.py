"""When an answer calls for a case, and who reads it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.delivery import DeliveryException, DeliveryFacts
from schemas.feedback import CaseState, CaseTrigger
from schemas.response import ResponseRecorded

_BY_RULE = tuple(t for t in CaseTrigger if t is not CaseTrigger.STAFF)
CENTRAL = ""
"""The desk of cases whose delivery names no terminal; only members with a role everywhere read it."""


@dataclass(frozen=True, slots=True)
class CaseRules:
    """What calls for a case.

    Attributes:
        low_score: this score or a lower one calls for a case.
        triggers: the rules that are on.
        desks: terminals whose cases are read at another terminal's desk.
    """

    low_score: int = 2
    triggers: frozenset[CaseTrigger] = frozenset(_BY_RULE)
    desks: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, low_score: int, triggers: str, desks: str) -> "CaseRules":
        """Read the rules as the settings write them: `low_score,contested` and `Segeltorp=Årsta,Kiruna=Luleå`."""
        named = frozenset(CaseTrigger(t) for t in triggers.split(",") if t)
        pairs = (pair.split("=") for pair in desks.split(",") if pair)
        return cls(low_score, named, {terminal.strip(): desk.strip() for terminal, desk in pairs})

    def triggers_of(self, answer: ResponseRecorded) -> tuple[CaseTrigger, ...]:
        """Every reason for which this answer calls for a case."""
        if answer.erased or not answer.invited:  # nobody can be reached who came by a kiosk
            return ()
        holds = {
            CaseTrigger.LOW_SCORE: answer.score is not None and answer.score <= self.low_score,
            CaseTrigger.WANTS_CONTACT: answer.wants_contact,
            CaseTrigger.CONTESTED: answer.contested,
            CaseTrigger.DAMAGED: DeliveryException.DAMAGED in answer.known.exceptions,
        }
        return tuple(t for t in _BY_RULE if t in self.triggers and holds[t])

    def desk_of(self, delivery: DeliveryFacts) -> str:
        """The desk that reads a case about this delivery."""
        terminal = delivery.terminal or CENTRAL
        return self.desks.get(terminal, terminal)


@dataclass(frozen=True, slots=True)
class Known:
    """What the case knows of the answer, as of its latest revision."""

    state: CaseState
    opened_because: tuple[CaseTrigger, ...]
    score: int | None
    wants_contact: bool
    contested: bool


@dataclass(frozen=True, slots=True)
class Later:
    """What a later revision of the answer does to its case."""

    opened_because: tuple[CaseTrigger, ...]
    reopens: bool


def on_later_revision(rules: CaseRules, case: Known, answer: ResponseRecorded) -> Later:
    """What a later revision changes: reasons are only added, and a resolved case may open again.

    It opens again when the score falls to a low one, when the person asks for contact, and when the person now
    says that the parcel never came.
    """
    now = rules.triggers_of(answer)
    added = tuple(t for t in now if t not in case.opened_because)
    falls = CaseTrigger.LOW_SCORE in now and (case.score is None or (answer.score or 0) < case.score)
    asks = CaseTrigger.WANTS_CONTACT in now and not case.wants_contact
    contests = CaseTrigger.CONTESTED in now and not case.contested
    return Later(case.opened_because + added, case.state is CaseState.RESOLVED and (falls or asks or contests))
