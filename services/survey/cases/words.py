"""What the inbox calls things. Pure."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schemas.delivery import DeliveryFacts, Method
from schemas.feedback import Attribution, CaseState, CaseTrigger, Cause, Nature
from schemas.response import RatedParty
from services.survey.cases.case import Case
from services.survey.cases.work import Place

SCORES: Final = {1: "Very dissatisfied", 2: "Dissatisfied", 3: "Neither", 4: "Satisfied", 5: "Very satisfied"}
STATES: Final = {
    CaseState.OPEN: "Open",
    CaseState.CONTACTED: "Contacted",
    CaseState.WAITING: "Waiting",
    CaseState.RESOLVED: "Resolved",
    CaseState.REOPENED: "Reopened",
}
TRIGGERS: Final = {
    CaseTrigger.LOW_SCORE: "Low score",
    CaseTrigger.WANTS_CONTACT: "Wants contact",
    CaseTrigger.CONTESTED: "Not received",
    CaseTrigger.DAMAGED: "Damaged",
    CaseTrigger.STAFF: "Opened by staff",
}
REASONS: Final = {
    "on_time": "Late",
    "right_place": "Wrong place",
    "condition": "Condition",
    "courtesy": "Courtesy",
    "information": "Information",
    "other": "Other",
}
NATURES: Final = {
    Nature.ITEM_COMPLAINT: "Complaint about this item",
    Nature.VIEWPOINT: "General viewpoint",
}
PARTIES: Final = {
    RatedParty.CARRIER: "The carrier",
    RatedParty.SHOP: "The shop",
    RatedParty.SERVICE_POINT: "The service point",
}
CAUSES: Final = {
    Cause.MISDELIVERED: "Misdelivered",
    Cause.LATE: "Late",
    Cause.MISSING: "Missing",
    Cause.OTHER: "Other",
}
ATTRIBUTIONS: Final = {
    Attribution.OWN: "Ours",
    Attribution.OTHER_OPERATOR: "Other carrier",
    Attribution.UNCLEAR: "Unclear",
}
PLACES: Final = {
    Place.DRIVER: "Driver: at the door",
    Place.ROUTE: "Route: planning, load",
    Place.TERMINAL: "Terminal: sorting, loading",
    Place.MERCHANT: "Shop: packing, address",
    Place.RECIPIENT: "Recipient: access, address",
    Place.OUTSIDE: "Outside: weather, road, customs",
}
SENT: Final = {
    "planned": "Words to the person are on their way.",
    "calling": "Words to the person are just being sent.",
    "refused": "Words to the person were not sent: {why} refused them. Tell the person in another way.",
    "withheld": "Words to the person were not sent: {why}. Tell the person in another way.",
    "in_doubt": "It is not known whether the words reached the person. They are not sent again by themselves.",
}
"""Where words to the person stand, as `outcome_message` keeps it."""
NOT_SENT: Final = {
    "no_contact": "no contact details are kept any more",
    "no_email": "the person left a phone number, and words go by e-mail only",
    "no_mail": "the person left an e-mail address, and words go by text message only",
    "no_number": "no text message can be sent to what the person left",
    "too_long": "they are longer than six text messages",
    "not_listed": "this system reaches listed addresses only",
    "erased": "the person's data were erased",
    "local_outbox": "this system has a local outbox, which reaches nobody",
    "expired": "they waited too long",
    "unsealable": "the words cannot be opened any more, which",
}
ENTRIES: Final = {
    "answered": "Answered",
    "answer_changed": "Answer changed",
    "opened": "Case opened",
    "assigned": "Assigned",
    "contacted": "Contacted",
    "waiting": "Waiting",
    "resolved": "Resolved",
    "reopened": "Reopened",
    "noted": "Note",
    "erased": "Personal data erased",
    "contact_viewed": "Contact details shown",
    "relabelled": "About another party",
    "outcome_sent": "Outcome sent",
    "outcome_not_sent": "Outcome not sent",
    "outcome_in_doubt": "Outcome perhaps sent",
}
METHODS: Final = {
    Method.SERVICE_POINT: "service point",
    Method.PARCEL_LOCKER: "parcel locker",
    Method.HOME_DAY: "home delivery in daytime",
    Method.HOME_EVENING: "home delivery in the evening",
    Method.SAME_DAY: "same day",
    Method.HOME_BOX: "box at home",
    Method.IN_HOME_CODE: "into the home",
    Method.IN_HOME_DIGITAL_LOCK: "into the home",
    Method.WORKPLACE: "workplace",
    Method.NEIGHBOUR: "neighbour",
    Method.OTHER: "another way",
}
_EXACT_BELOW = timedelta(hours=8)
_HOURS_BELOW = timedelta(hours=48)
_WEEKDAY_BELOW = timedelta(days=6)


def duration(length: timedelta) -> str:
    """A length as people say it: `31 min`, `4 h 05 min`, `22 h`, `3 days`."""
    minutes = int(length.total_seconds() // 60)
    if minutes < 60:  # noqa: PLR2004 minutes in an hour
        return f"{minutes} min"
    if length < _EXACT_BELOW:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes // 60} h" if length < _HOURS_BELOW else f"{length.days} days"


def age(length: timedelta) -> str:
    """A length in its largest unit: `31 min old`, `7 h old`, `3 days old`."""
    return f"{duration(length).partition(' h ')[0]} h old" if " h " in duration(length) else f"{duration(length)} old"


def moment(at: datetime, zone: str, now: datetime) -> str:
    """A moment at a place: `Tue 17:45`, or with its date when it is a week away."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%a %H:%M}" if abs(now - at) < _WEEKDAY_BELOW else f"{local.day} {local:%b %H:%M}"


def kind(case: Case) -> str:
    """The one or two words that tell what the case is about."""
    if case.contested:
        return TRIGGERS[CaseTrigger.CONTESTED]
    if CaseTrigger.DAMAGED in case.opened_because:
        return TRIGGERS[CaseTrigger.DAMAGED]
    if case.reasons:
        return reason(case.reasons[0])
    if case.delivery.late:
        return "Late"
    if case.wants_contact:
        return TRIGGERS[CaseTrigger.WANTS_CONTACT]
    return "Low score" if case.commented else "No comment"


def reason(code: str) -> str:
    """A reason chip in words; one that a newer survey defines is told by its code."""
    return REASONS.get(code, code.replace("_", " ").capitalize())


def promise(delivery: DeliveryFacts) -> tuple[str, str | None]:
    """Promise and delivery in words, and by how much it came late, if it did."""
    zone = ZoneInfo(delivery.zone)
    came = f"delivered {delivery.occurred_at.astimezone(zone):%H:%M}"
    if delivery.promised_until is None:
        return f"no time was promised, {came}", None
    until = delivery.promised_until.astimezone(zone)
    window = f"by {until:%H:%M}"
    if delivery.promised_from is not None:
        window = f"{delivery.promised_from.astimezone(zone):%H:%M}–{until:%H:%M}"
    late = delivery.occurred_at - delivery.promised_until
    return f"{window}, {came}", f"{duration(late)} late" if late > timedelta(0) else None
