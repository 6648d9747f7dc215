"""What the inbox shows of the chosen case and its work column, as plain values for the template. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.delivery import HandOver, Holder
from schemas.feedback import CaseTrigger
from services.chassis.staff import Member, Role
from services.survey.cases import words
from services.survey.cases.case import Case, local_day
from services.survey.cases.filters import Filters
from services.survey.cases.inbox import Looking, Ring, ring_of
from services.survey.cases.shown import Contact, Line, Listed, Standing
from services.survey.cases.timeline import Moment, timeline_of
from services.survey.cases.work import MOVES, Action

_NOTHING: Final = Standing()


@dataclass(frozen=True, slots=True)
class Detail:
    """The chosen case."""

    number: str
    revision: int
    state: str
    kind: str
    ring: Ring | None
    score: int | None
    score_words: str
    quote: str | None
    quote_hidden: bool
    lang: str | None
    remarks: str
    facts: Sequence[tuple[str, str, str | None]]
    timeline: Sequence[Moment]
    zone: str
    same_day: "SameDay | None"
    may_work: bool
    may_assign: bool
    can: frozenset[str]
    wants_contact: bool
    contact: Contact | None
    contact_asked: bool
    judgement: str
    place: str
    nature: str
    rated: str | None
    answer_revision: int | None
    outcome: str
    kept: str | None
    send_by: str
    owner: str | None
    desk: str


@dataclass(frozen=True, slots=True)
class SameDay:
    """Other cases of the same desk, day and reason."""

    about: str
    cases: int
    open: int
    href: str


def detail_of(
    listed: Listed,
    lines: Sequence[Line],
    looking: Looking,
    *,
    same_day: SameDay | None,
    standing: Standing = _NOTHING,
    sends: str = "",
    contact: Contact | None = None,
    contact_asked: bool = False,
) -> Detail:
    """The chosen case as the page shows it."""
    case, member = listed.case, looking.member
    return Detail(
        number=case.number,
        revision=case.revision,
        state=f"{words.STATES[case.state]}, {_owner(case, member)}",
        kind=words.kind(case),
        ring=ring_of(case, looking),
        score=case.score,
        score_words=words.SCORES[case.score] if case.score else "No face chosen",
        quote=listed.comment,
        quote_hidden=case.commented and listed.comment is None,
        lang=case.language,
        remarks=_remarks(case),
        facts=_facts(case),
        timeline=timeline_of(case, lines, looking.now),
        zone=case.delivery.zone.rpartition("/")[2].replace("_", " "),
        same_day=same_day,
        may_work=member.may(Role.AGENT, case.desk),
        may_assign=member.may(Role.LEAD, case.desk),
        can=_can(case, member),
        wants_contact=case.wants_contact,
        contact=contact,
        contact_asked=contact_asked,
        judgement=f"{case.cause}.{case.attribution}" if case.cause and case.attribution else "",
        place=case.place or "",
        nature=case.nature or "",
        rated=standing.rated,
        answer_revision=standing.answer_revision,
        outcome=_outcome(case, standing),
        kept=standing.kept,
        send_by=sends if case.wants_contact else "",
        owner=case.owner,
        desk=case.desk or "no terminal",
    )


def _can(case: Case, member: Member) -> frozenset[str]:
    if not member.may(Role.AGENT, case.desk):
        return frozenset()
    moves = {str(action) for state, action in MOVES if state is case.state}
    free = case.owner in {None, member.subject} or member.may(Role.LEAD, case.desk)
    take = {str(Action.TAKE)} if free and case.owner != member.subject else set()
    return frozenset({*moves, *take, str(Action.NOTE)})


def _owner(case: Case, member: Member) -> str:
    if case.owner is None:
        return "nobody's"
    return "yours" if case.owner == member.subject else str(case.owner_name)


def _outcome(case: Case, standing: Standing) -> str:
    if standing.sent is not None and standing.sent != "accepted":
        return words.SENT[standing.sent].format(why=words.NOT_SENT.get(standing.reason or "", _refuser(standing)))
    if case.outcome_told:
        return "The person was told what came of the case."
    return "Words to the person are kept and were not sent." if case.outcome_sealed else ""


def _refuser(standing: Standing) -> str:
    return "the gateway" if (standing.reason or "").startswith("gateway_") else "the mail server"


def _remarks(case: Case) -> str:
    said = [f"Answered in {_LANGUAGES.get(case.language, case.language)}."] if case.language else []
    if case.wants_contact:
        said.append("Wants to be contacted.")
    if case.contested:
        said.append("Says that the parcel never came.")
    return " ".join(said)


_LANGUAGES: Final[dict[str | None, str]] = {
    "sv": "Swedish",
    "nb": "Norwegian",
    "nn": "Nynorsk",
    "da": "Danish",
    "fi": "Finnish",
    "en": "English",
    "de": "German",
}


def _facts(case: Case) -> list[tuple[str, str, str | None]]:
    d = case.delivery
    promised, late = words.promise(d)
    shop = f" (not the shop {d.merchant_name})" if d.merchant_name else ""
    chosen = {True: "Yes", False: "No", None: "Not known"}[d.method_chosen_by_recipient]
    held = [d.terminal or "terminal not known", d.route and f"route {d.route}", d.service_point]
    facts = [
        ("Rated", f"{d.carrier}, {words.METHODS[d.method]}{shop}", None),
        ("Promised", promised[0].upper() + promised[1:], late),
        ("Own choice", f"{chosen}, {words.METHODS[d.method]}" if chosen == "Yes" else chosen, None),
        ("Who held it", ", ".join(filter(None, held)), None),
    ]
    if d.hand_overs:
        facts.append(("Leg by leg", ", then ".join(map(_leg, d.hand_overs)), None))
    if d.exceptions:
        facts.append(("Exceptions", ", ".join(e.replace("_", " ") for e in d.exceptions), None))
    if case.contested:
        facts.append(("Proof", d.proof_of_delivery or "No reference to a proof of delivery", None))
    return facts


def _leg(taken: HandOver) -> str:
    """Who took the parcel over and what was seen of it; a driver is not named here, not even by pseudonym."""
    place = f" {taken.code}" if taken.code and taken.holder is not Holder.DRIVER else ""
    noticed = f" ({', '.join(e.replace('_', ' ') for e in taken.noticed)})" if taken.noticed else ""
    return f"{taken.holder.replace('_', ' ')}{place}{noticed}"


def same_day_of(case: Case, about: str, cases: int, still_open: int, *, by_reason: bool) -> SameDay | None:
    """The other cases of this desk, day and reason; none where this is the only one."""
    if cases < 2:  # noqa: PLR2004 this one and another
        return None
    day = local_day(case.delivery)
    same = Filters(terminal=case.desk, day=day, **({"reason": about} if by_reason else {"trigger": about}))
    told = words.reason(about) if by_reason else words.TRIGGERS[CaseTrigger(about)]
    return SameDay(f"{told}, {case.desk or 'no terminal'}, {day:%A}", cases, still_open, same.address())
