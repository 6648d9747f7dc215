"""Why somebody was asked, or not, in plain words. Pure.

Every reason code has a sentence; what stands in braces is evidence of the decision.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.notifier.policy import RULES

SENTENCES: Mapping[str, str] = {
    "opted_out": "The person has said that they never want to be asked.",
    "objected": "The sender knows that the person declined beforehand.",
    "erased": "The delivery is from before the person's data was erased.",
    "consent_missing": "In {country} one of these must be shown: {needs}. Shown was: {shown}.",
    "returned": "The parcel went back.",
    "cancelled": "The delivery was cancelled.",
    "not_delivered": "The parcel was not delivered after all.",
    "claim_opened": "A claim was opened about the parcel.",
    "exception_open": "Something went wrong with the parcel: {exceptions}.",
    "merchant_denied": "The shop {merchant} does not want its customers asked.",
    "merchants_turn": "The shop asks about this order itself: a share of {share} of its orders is the shop's.",
    "held_out": "The order is one of a share of {share} that is left alone, to see what asking does to the shop.",
    "order_already_asked": "Another parcel of the same order was asked about.",
    "drop_already_asked": "Another parcel of the same stop was asked about.",
    "wished_less_often": "The person wants at most {wished_less_often_most} requests in {wished_less_often_days} days.",
    "carrier_budget_spent": "The person has had {carrier_budget_spent_most} requests in"
    " {carrier_budget_spent_days} days, and that is our limit.",
    "merchant_budget_spent": "The person has had {merchant_budget_spent_most} requests about this shop's parcels in"
    " {merchant_budget_spent_days} days, and that is the limit.",
    "not_sampled": "Only a share of {sample_rate} of such deliveries is asked about, and this one was not drawn.",
    "disruption_paused": "Asking is paused during the disruption {disruption}.",
    "in_the_future": "The delivery lies {seconds} seconds in the future: a clock is wrong.",
    "too_old": "The news is {age_hours} hours old, and that is too old.",
    "channel_not_wanted": "The person wants to be reached by {only} only; addresses are known for: {given}.",
    "no_reachable_channel": "No address is known that can be used now; addresses are known for: {given}.",
    "unusable_address": "The addresses of the right kind cannot work; addresses are known for: {given}.",
    "unreachable": "Every usable address was reported as hopeless; addresses are known for: {given}.",
    "language_without_message": "There is no message in {language}, nor in a language that may stand in for it.",
    # Found only when the request was about to leave.
    "answered": "The person has answered already.",
    "contested": "The person says that the parcel never came.",
}
NAMES: Mapping[str, str] = {
    "opted_out": "Opted out",
    "objected": "Declined beforehand",
    "erased": "Erased",
    "consent_missing": "No consent",
    "returned": "Parcel went back",
    "cancelled": "Delivery cancelled",
    "not_delivered": "Not delivered after all",
    "claim_opened": "Claim, damage or hold",
    "exception_open": "Claim, damage or hold",
    "merchant_denied": "Merchant policy",
    "merchants_turn": "The shop asks",
    "held_out": "Left alone, to compare",
    "order_already_asked": "One ask per order",
    "drop_already_asked": "One ask per drop",
    "wished_less_often": "Wished less often",
    "carrier_budget_spent": "Contact budget",
    "merchant_budget_spent": "Contact budget of a shop",
    "not_sampled": "Sampled out",
    "disruption_paused": "Paused: disruption",
    "in_the_future": "Wrong clock at the source",
    "too_old": "Too long ago",
    "channel_not_wanted": "No address of the wished kind",
    "no_reachable_channel": "No reachable channel",
    "unusable_address": "No address that can work",
    "unreachable": "Every address failed before",
    "language_without_message": "No message in that language",
    "answered": "Answered already",
    "contested": "Says it never came",
}
"""The reasons as pages and reports name them; the script of the pages has the same words."""
_WAITS = {
    "quiet_hours": "It waited for the end of the quiet hours.",
    "preferred_hours": "It waited for the preferred hours.",
    "weekend": "It waited for the end of the weekend.",
    "holiday": "It waited for the end of a public holiday.",
    "disruption": "It waited for the end of a disruption.",
}
_STATES = {
    "planned": "The message is due {due_at}.",
    "claimed": "The message is about to leave.",
    "calling": "The message is being handed over.",
    "accepted": "The message was handed over {settled_at}.",
    "refused": "The message was refused: {reason}.",
    "in_doubt": "Nobody knows yet whether the message was taken.",
    "unknown": "It never became known whether the message was taken.",
    "withheld": "The message was stopped before it left.",
}
_PROGRESS = {
    "accepted": "The provider reports that it has the message.",
    "sent": "The provider reports that it has sent the message on.",
    "undelivered": "The provider reports that the message did not arrive.",
    "delivered": "The provider reports that the message arrived.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A decision as it is stored, and what became of the message.

    Attributes:
        dropped: whether requests of that month are not kept any more.
    """

    delivery_id: str
    decided_at: datetime
    reason: str | None
    matched: Sequence[str]
    evidence: Mapping[str, object]
    next_eligible_at: datetime | None
    state: str | None = None
    state_reason: str | None = None
    channel: str | None = None
    language: str | None = None
    due_at: datetime | None = None
    settled_at: datetime | None = None
    progress: str | None = None
    dropped: bool = False


def sentence(reason: str, evidence: Mapping[str, object]) -> str:
    """A reason in plain words; a code that no rule has is told as it is, and evidence that is missing as unknown."""
    known = defaultdict(lambda: "unknown", {name: str(fact) or "none" for name, fact in evidence.items()})
    return SENTENCES.get(reason, reason).format_map(known)


def explain(told: Told) -> Iterator[str]:
    """Lines that tell what was decided, rule by rule."""
    verdict = "was asked about" if told.reason is None else "was not asked about"
    yield f"Delivery {told.delivery_id} {verdict}. Decided {_at(told.decided_at)}."
    if versions := told.evidence.get("policies"):
        yield f"Policies: {versions}"
    yield ""
    for rule in (r.__name__ for r in RULES):
        if rule in told.matched:
            mark = "NO  " if rule == told.reason else "no  "
            yield f"  {mark}{rule:26}{sentence(rule, told.evidence)}"
        else:
            yield f"  ok  {rule}"
    yield ""
    if told.reason is None:
        yield from _asking(told)
    else:
        yield f"The first rule that says no decides: {told.reason}."
    if told.next_eligible_at is not None:
        yield f"By that rule the person may be asked again from {_at(told.next_eligible_at)} on."


def _asking(told: Told) -> Iterator[str]:
    if not told.dropped:
        yield f"Asked by {told.channel}, in {told.language}."
    evidence = told.evidence
    if "language_fallback_from" in evidence:
        yield f"There is no message in the recipient's language: {evidence['language_fallback_from']}."
    if "sample_rate" in evidence:
        yield f"Drawn from a share of {evidence['sample_rate']}."
    if "co_brand" in evidence:
        yield f"The message names the shop {evidence['co_brand']}."
    if "disruption" in evidence:
        yield f"During the disruption {evidence['disruption']}: {evidence['disruption_policy']}."
    if "held_by" in evidence:
        yield _WAITS.get(str(evidence["held_by"]), f"It waited: {evidence['held_by']}.")
    if told.dropped:
        yield "What became of the message is not kept any more: requests of that month are past their time."
        return
    told_state = _STATES.get(told.state or "", told.state or "There is no message.")
    yield told_state.format(due_at=_at(told.due_at), settled_at=_at(told.settled_at), reason=told.state_reason)
    if told.progress is not None:
        yield _PROGRESS[told.progress]
    if told.state == "withheld" and told.state_reason is not None:
        yield f"{told.state_reason}: {sentence(told.state_reason, evidence)}"


def _at(moment: datetime | None) -> str:
    return "at an unknown time" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
