"""Topic cards: all that a partner or an operator must know about each Kafka topic.

`kvittera topics apply` creates the topics from the cards and `kvittera topics check` compares a cluster with
them. No Kafka client is used here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal

from schemas.contract import Contract
from schemas.delivery import DeliveryCompleted, DeliveryCorrected
from schemas.disruption import DeliveryDisruption
from schemas.feedback import FeedbackCase, FeedbackPraise
from schemas.invitation import InvitationDecided, InvitationProgress
from schemas.recipient import DeliveryContested, PersonErased, PreferenceChanged
from schemas.response import ResponseRecorded
from schemas.satisfaction import SatisfactionAlert, SatisfactionCell
from schemas.staff import SessionEnded

DELIVERY_COMPLETED: Final = "delivery.completed.v1"
DELIVERY_CORRECTED: Final = "delivery.corrected.v1"
DELIVERY_DISRUPTION: Final = "delivery.disruption.v1"
INVITATION_DECIDED: Final = "invitation.decided.v1"
INVITATION_PROGRESS: Final = "invitation.progress.v1"
RESPONSE_RECORDED: Final = "response.recorded.v1"
DELIVERY_CONTESTED: Final = "delivery.contested.v1"
PREFERENCE_CHANGED: Final = "preference.changed.v1"
PERSON_ERASED: Final = "person.erased.v1"
SESSION_ENDED: Final = "session.ended.v1"
FEEDBACK_CASE: Final = "feedback.case.v1"
FEEDBACK_PRAISE: Final = "feedback.praise.v1"
SATISFACTION_CELLS: Final = "satisfaction.cells.v1"
SATISFACTION_ALERT: Final = "satisfaction.alert.v1"
DEAD_LETTER_SUFFIX: Final = ".dlq"

Service = Literal["upstream", "notifier", "survey", "aggregator", "partners"]
Cleanup = Literal["delete", "compact"]

_WEEK: Final = timedelta(days=7)
_MONTH: Final = timedelta(days=28)
_REPLAYABLE: Final = timedelta(days=400)
_ACROSS_A_HOLIDAY: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCard:
    """One topic. Durations are `timedelta`, sizes bytes.

    `partitions` is the default; `kvittera topics apply` can be told another number for a new topic, and must
    never change it for an old one, because keys would move. `model` and `key` describe the records; a
    dead-letter topic has no model, since its values are other people's bytes, untouched.
    """

    name: str
    title: str
    about: str
    key: str
    owner: Service
    producers: tuple[Service, ...]
    consumers: tuple[Service, ...]
    retention: timedelta
    model: type[Contract] | None
    dead_letter: str | None = None
    partitions: int = 6
    cleanup: Cleanup = "delete"
    max_message_bytes: int = 262_144
    timestamp_type: Literal["LogAppendTime"] = "LogAppendTime"
    pii: bool = False
    parameter: tuple[str, str] | None = None
    """Where the card is a template: the part of every topic's name that differs, and what it says."""

    def config(self) -> dict[str, str]:
        """Return the Kafka topic configuration, by the names that brokers use.

        Time retention counts from the moment of appending (`LogAppendTime`): an old or a far-future event
        time in a back-fill must neither delete a record at once nor keep it for ever. A compacted topic
        keeps the last value of each key without limit of time, and its tombstones for `retention`.
        """
        milliseconds = str(int(self.retention.total_seconds() * 1000))
        config = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": self.timestamp_type,
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.cleanup == "compact":
            return config | {
                "retention.ms": "-1",
                "delete.retention.ms": milliseconds,
                "min.compaction.lag.ms": "60000",
                "max.compaction.lag.ms": "86400000",
                "segment.ms": "86400000",
            }
        return config | {"retention.ms": milliseconds}


_CARDS: Final = (
    TopicCard(
        name=DELIVERY_COMPLETED,
        title="A delivery was completed",
        about=(
            "Send one record for each delivery, once, when it is done; a repeated delivery id changes "
            "nothing. Put everything in it as it was at that moment. This is the only topic that carries "
            "addresses, all of them in the pii block; it is short-lived for that reason. CloudEvents "
            "binary or structured mode, or a plain JSON record."
        ),
        key="delivery id",
        owner="notifier",
        producers=("upstream",),
        consumers=("notifier",),
        retention=_WEEK,
        model=DeliveryCompleted,
        dead_letter=DELIVERY_COMPLETED + DEAD_LETTER_SUFFIX,
        pii=True,
    ),
    TopicCard(
        name=DELIVERY_CORRECTED,
        title="A completed delivery turned out otherwise",
        about=(
            "Send a record when a completed delivery was returned or cancelled, a claim was opened or "
            "facts were wrong. The highest revision of a delivery holds. It stops a survey that has not "
            "been sent yet, also when it comes before the delivery."
        ),
        key="delivery id",
        owner="notifier",
        producers=("upstream",),
        consumers=("notifier",),
        retention=_MONTH,
        model=DeliveryCorrected,
        dead_letter=DELIVERY_CORRECTED + DEAD_LETTER_SUFFIX,
    ),
    TopicCard(
        name=DELIVERY_DISRUPTION,
        title="Something disturbs deliveries in an area",
        about=(
            "Send a record when a disruption is planned, begins, changes or ends. It can hold back "
            "surveys, give them other words or mark their answers. The highest revision of a disruption "
            "holds."
        ),
        key="disruption id",
        owner="notifier",
        producers=("upstream",),
        consumers=("notifier", "aggregator"),
        retention=_MONTH,
        model=DeliveryDisruption,
        dead_letter=DELIVERY_DISRUPTION + DEAD_LETTER_SUFFIX,
        partitions=1,
    ),
    TopicCard(
        name=INVITATION_DECIDED,
        title="What was decided about asking, and what came of it",
        about=(
            "One record for each revision of the decision about a delivery: scheduled, asked, suppressed "
            "with its reason, failed or in doubt. Every delivery gets exactly one decision of each kind. "
            "Names nobody: identifiers are pseudonyms."
        ),
        key="delivery id",
        owner="notifier",
        producers=("notifier",),
        consumers=("survey", "aggregator"),
        retention=_REPLAYABLE,
        model=InvitationDecided,
        dead_letter=INVITATION_DECIDED + DEAD_LETTER_SUFFIX,
    ),
    TopicCard(
        name=INVITATION_PROGRESS,
        title="How far an invitation got",
        about=(
            "One record when a receipt says that a message arrived (`reached`), one when a person first touches "
            "the page without having answered (`opened`). A step may come twice and counts once. Loading a page "
            "tells nothing, because link scanners load pages. Names nobody."
        ),
        key="delivery id",
        owner="survey",
        producers=("notifier", "survey"),
        consumers=("aggregator",),
        retention=_REPLAYABLE,
        model=InvitationProgress,
        dead_letter=INVITATION_PROGRESS + DEAD_LETTER_SUFFIX,
    ),
    TopicCard(
        name=RESPONSE_RECORDED,
        title="What a recipient answered",
        about=(
            "The whole answer as it stands after each revision; the highest revision of a response holds "
            "and the lower ones must be forgotten. Comment text never passes through a topic. Names "
            "nobody."
        ),
        key="response id",
        owner="survey",
        producers=("survey",),
        consumers=("notifier", "survey", "aggregator"),
        retention=_REPLAYABLE,
        model=ResponseRecorded,
        dead_letter=RESPONSE_RECORDED + DEAD_LETTER_SUFFIX,
    ),
    TopicCard(
        name=DELIVERY_CONTESTED,
        title="A recipient says that the parcel never came",
        about=(
            "For the systems that hold the proof of delivery: look into it. The highest revision of a delivery "
            "holds; `withdrawn` means that the parcel came after all."
        ),
        key="delivery id",
        owner="survey",
        producers=("survey",),
        consumers=("partners",),
        retention=_MONTH,
        model=DeliveryContested,
    ),
    TopicCard(
        name=PREFERENCE_CHANGED,
        title="How often and where a person may be asked",
        about=(
            "The preferences of a pseudonym as they stand after each revision; what was said last holds, for "
            "ever: a person who said never is not asked because a record grew old. Two services write it and "
            "count their revisions apart, so changed_at tells which is the last."
        ),
        key="person id",
        owner="survey",
        producers=("notifier", "survey"),
        consumers=("notifier",),
        retention=_MONTH,
        model=PreferenceChanged,
        dead_letter=PREFERENCE_CHANGED + DEAD_LETTER_SUFFIX,
        cleanup="compact",
    ),
    TopicCard(
        name=PERSON_ERASED,
        title="A person's data must be erased",
        about=(
            "Every service that holds personal data of the pseudonym destroys the key to it, and keeps nothing "
            "that comes later from before this moment. Counters stay: they name nobody."
        ),
        key="person id",
        owner="notifier",
        producers=("notifier",),
        consumers=("survey",),
        retention=_REPLAYABLE,
        model=PersonErased,
        dead_letter=PERSON_ERASED + DEAD_LETTER_SUFFIX,
    ),
    TopicCard(
        name=SESSION_ENDED,
        title="Sign-ins of staff that are over",
        about=(
            "A member of staff signed out, or all sign-ins of the member were ended: pages for staff refuse them from "
            "then on, wherever their cookie was copied to. A sign-in ends by itself within a day, so that older "
            "records say nothing any more. Names nobody: members are pseudonyms."
        ),
        key="member",
        owner="survey",
        producers=("survey",),
        consumers=("notifier", "aggregator"),
        retention=_WEEK,
        model=SessionEnded,
        dead_letter=SESSION_ENDED + DEAD_LETTER_SUFFIX,
        partitions=1,
    ),
    TopicCard(
        name=FEEDBACK_CASE,
        title="A case that somebody must take care of",
        about=(
            "The case as it stands after each revision: open, contacted, resolved or reopened, with cause "
            "and attribution once staff has judged. The highest revision of a case holds. Names no "
            "recipient."
        ),
        key="case id",
        owner="survey",
        producers=("survey",),
        consumers=("aggregator", "partners"),
        retention=_REPLAYABLE,
        model=FeedbackCase,
        dead_letter=FEEDBACK_CASE + DEAD_LETTER_SUFFIX,
    ),
    TopicCard(
        name=FEEDBACK_PRAISE,
        title="Praise that somebody must hear",
        about=(
            "Praise for a driver, a terminal or a service point, without the comment. The highest revision "
            "holds; take praise off the board when it is withdrawn. Drivers are pseudonyms. For praise "
            "only, never for ranking people."
        ),
        key="praise id",
        owner="survey",
        producers=("survey",),
        consumers=("partners",),
        retention=_MONTH,
        model=FeedbackPraise,
    ),
    TopicCard(
        name=SATISFACTION_CELLS,
        title="Live counters",
        about=(
            "Absolute counters of one cell (a cut, a value, a window); a higher version replaces a lower "
            "one. Internal: cells may be so small that they tell what one person answered, so give nobody "
            "outside access. A tombstone means that the cell is gone: a minute that is too old, or a cut that "
            "is counted no more."
        ),
        key="cell key",
        owner="aggregator",
        producers=("aggregator",),
        consumers=(),
        retention=_WEEK,
        model=SatisfactionCell,
        cleanup="compact",
    ),
    TopicCard(
        name=SATISFACTION_ALERT,
        title="More people are dissatisfied than expected",
        about=(
            "One record for each alarm of the change detection: the cell, the stretch, what was expected, "
            "and which responses drove it. An alarm is told once and never taken back. Internal: the "
            "responses are pseudonyms of single answers, so give nobody outside access."
        ),
        key="alert id",
        owner="aggregator",
        producers=("aggregator",),
        consumers=(),
        retention=_REPLAYABLE,
        model=SatisfactionAlert,
        partitions=1,
    ),
)


def _dead_letters(card: TopicCard) -> TopicCard | None:
    """Return the card of the topic where unreadable records of `card` are kept."""
    if card.dead_letter is None:
        return None
    readers: tuple[Service, ...] = tuple(name for name in card.consumers if name != "partners")
    return TopicCard(
        name=card.dead_letter,
        title=f"Records of {card.name} that could not be processed",
        about=(
            "Value and key are the untouched bytes of the record. Headers are those of the record and, "
            "added to them, the kvittera_dlq_* headers: reason, detail, topic, partition, offset, moment "
            "and service. Of what is larger than this topic takes the value is left out, and then key and "
            "headers of the record (kvittera_dlq_left_out). "
            "Repair with `kvittera dlq list`, `show` and `replay`."
        ),
        key=card.key,
        owner=card.owner,
        producers=readers,
        consumers=(),
        retention=_ACROSS_A_HOLIDAY,
        model=None,
        partitions=1,
        # A record that came compressed is stored as it is: room for what could be inside.
        max_message_bytes=8 * 1024 * 1024,
        pii=card.pii,
    )


def _by_name(cards: tuple[TopicCard, ...]) -> Mapping[str, TopicCard]:
    graves = tuple(grave for grave in map(_dead_letters, cards) if grave is not None)
    return MappingProxyType({card.name: card for card in (*cards, *graves)})


CARDS: Final[Mapping[str, TopicCard]] = _by_name(_CARDS)
"""Every topic by name, dead-letter topics included."""
