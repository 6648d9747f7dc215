"""Every metric of Kvittera, named once. Labels never hold personal data or small groups."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

M = TypeVar("M", Counter, Gauge, Histogram)

CounterName = Literal[
    # Records taken from a topic and done with, by topic and result (applied, skipped, dead_letter).
    "kvittera_records_total",
    # Attempts that failed for a passing reason and are tried again, by what was tried.
    "kvittera_retries_total",
    # Rows that the relay handed to Kafka, by topic.
    "kvittera_outbox_published_total",
    # Decisions about deliveries, by outcome and reason.
    "kvittera_decisions_total",
    # Send attempts, by channel and result (accepted, refused, refused_for_now, in_doubt).
    "kvittera_sends_total",
    # Calls whose end could not be written, by channel; they are in doubt.
    "kvittera_unsettled_total",
    # Requests and reminders stopped just before they left, by reason.
    "kvittera_withheld_total",
    # Times that the volume breaker paused sending, by channel.
    "kvittera_volume_pauses_total",
    # Sends that were begun again although the first may have arrived, because an operator chose so.
    "kvittera_possible_duplicates_total",
    # Calls to a provider, by its name in the providers' file and result.
    "kvittera_provider_calls_total",
    # Reports of providers about messages, by provider and result (accepted to delivered, duplicate, unknown, forged,
    # unreadable).
    "kvittera_receipts_total",
    # Parts of text messages handed over, each of which is paid for, by provider.
    "kvittera_sms_segments_total",
    # Answers acknowledged with 2xx, by kind (first, revision, kiosk, kiosk_revision).
    "kvittera_answers_total",
    # Survey requests that were turned away, by reason.
    "kvittera_answers_refused_total",
    # Answers kept that look like a machine's, by sign (honeypot, hidden_link, all_faces, too_fast).
    "kvittera_answers_suspected_total",
    # Replies by text message, by result (answer, stop, unknown, empty).
    "kvittera_inbound_total",
    # Survey pages rendered, by state.
    "kvittera_pages_total",
    # Words to the person about a case, by result (accepted, refused, withheld, in_doubt).
    "kvittera_outcomes_total",
    # What staff did with praise, by act (pass_on, approve, take_down, decline, dispute, restore, uphold, reconsider).
    "kvittera_praise_total",
    # Ends of sign-ins of staff at the provider, by result (signed_in, refused, no_role, provider_away).
    "kvittera_staff_sign_ins_total",
    # Cells that the anti-entropy pass found behind on the topic and published again.
    "kvittera_cells_republished_total",
    # Rows of personal data deleted or blanked because they were older than their time, by what they held.
    "kvittera_retention_deleted_total",
    # Months that were dropped because every row in them was older than its time, by table.
    "kvittera_months_dropped_total",
]
GaugeName = Literal[
    # Records not yet consumed, by topic and partition.
    "kvittera_consumer_lag",
    # Age in seconds of the oldest record that waits to be counted, or that may do so.
    "kvittera_counters_behind_seconds",
    # When the latest `kvittera audit` ended, in seconds since 1970; 0: none ever did.
    "kvittera_audit_ended_timestamp_seconds",
    # What the latest `kvittera audit` found: lost and doubled answers, and cells that differ.
    "kvittera_audit_differences",
    # Outbox rows not yet published.
    "kvittera_outbox_waiting",
    # Age in seconds of the oldest outbox row not yet published.
    "kvittera_outbox_age_seconds",
    # Outbox rows put aside because Kafka does not have their topic, by topic.
    "kvittera_outbox_lost",
    # Deliveries by state in the ledger identity (delivered, asked, suppressed, pending, failed).
    "kvittera_ledger",
    # delivered - asked - suppressed - pending - failed; anything but 0 is a fault of ours.
    "kvittera_ledger_gap",
    # Requests whose time has come and that may be sent now.
    "kvittera_requests_due",
    # Sends whose fate is not known.
    "kvittera_in_doubt",
    # 1 while the switch allows sending, 0 while it does not or cannot be read.
    "kvittera_sending_on",
    # When the permission to reach real people ends; 0 where nobody outside is reached.
    "kvittera_sending_permitted_until_timestamp_seconds",
    # 1 while everything that people and upstream said lately is read, 0 while nothing is sent until it is.
    "kvittera_sending_heard",
    # 1 while a provider is left alone after failures in a row, by channel.
    "kvittera_provider_breaker",
    # Erasures that the other services have not been told of yet.
    "kvittera_erasures_pending",
    # Cases not yet resolved, by state.
    "kvittera_cases",
    # Cases whose first contact is overdue.
    "kvittera_cases_overdue",
    # Cases not yet resolved, by age (day, week, month, older).
    "kvittera_cases_by_age",
    # Longest delay of the event loop in the last minute, in seconds.
    "kvittera_loop_lag_seconds",
    # Months after the present one for which a table has room; -1 where even this month has none.
    "kvittera_months_ahead",
]
HistogramName = Literal[
    # Records in one transaction, by topic group.
    "kvittera_batch_records",
    # Seconds from reading a batch to its commit.
    "kvittera_batch_seconds",
    # Answers that shared one commit.
    "kvittera_answers_per_commit",
    # Seconds from the recorded answer to the committed counter.
    "kvittera_freshness_seconds",
    # Seconds from the opening of a case to the first human contact.
    "kvittera_case_first_contact_seconds",
    # Seconds from the delivery event to the accepted request.
    "kvittera_event_to_ask_seconds",
    # Seconds that a call to a provider took, by its name in the providers' file and kind of address.
    "kvittera_provider_call_seconds",
    # Seconds from the call with the request to the first answer.
    "kvittera_ask_to_answer_seconds",
]

COUNTERS: dict[CounterName, tuple[str, tuple[str, ...]]] = {
    "kvittera_records_total": ("Records taken from a topic and done with.", ("topic", "result")),
    "kvittera_retries_total": ("Attempts that are tried again.", ("what",)),
    "kvittera_outbox_published_total": ("Outbox rows handed to Kafka.", ("topic",)),
    "kvittera_decisions_total": ("Decisions about deliveries.", ("outcome", "reason")),
    "kvittera_sends_total": ("Send attempts.", ("channel", "result")),
    "kvittera_unsettled_total": ("Calls whose end could not be written.", ("channel",)),
    "kvittera_withheld_total": ("Requests and reminders stopped just before they left.", ("reason",)),
    "kvittera_volume_pauses_total": ("Times that the volume breaker paused sending.", ("channel",)),
    "kvittera_possible_duplicates_total": (
        "Second messages of one request: sent again in doubt, or reported so.",
        ("channel",),
    ),
    "kvittera_provider_calls_total": ("Calls to a provider.", ("provider", "result")),
    "kvittera_receipts_total": ("Reports of providers about messages.", ("provider", "result")),
    "kvittera_sms_segments_total": ("Parts of text messages handed over.", ("provider",)),
    "kvittera_answers_total": ("Answers acknowledged with 2xx.", ("kind",)),
    "kvittera_answers_refused_total": ("Survey requests turned away.", ("reason",)),
    "kvittera_answers_suspected_total": ("Answers kept that look like a machine's.", ("sign",)),
    "kvittera_inbound_total": ("Replies by text message.", ("result",)),
    "kvittera_pages_total": ("Survey pages rendered.", ("state",)),
    "kvittera_outcomes_total": ("Words to the person about a case that left, or did not.", ("result",)),
    "kvittera_praise_total": ("What staff did with praise.", ("act",)),
    "kvittera_staff_sign_ins_total": ("Ends of sign-ins of staff.", ("result",)),
    "kvittera_retention_deleted_total": ("Rows of personal data older than their time that went.", ("what",)),
    "kvittera_months_dropped_total": ("Whole months older than their time that were dropped.", ("table",)),
    "kvittera_cells_republished_total": ("Cells found behind on the topic and published again.", ()),
}
GAUGES: dict[GaugeName, tuple[str, tuple[str, ...]]] = {
    "kvittera_consumer_lag": ("Records not yet consumed.", ("topic", "partition")),
    "kvittera_counters_behind_seconds": ("Age of the oldest record that waits to be counted.", ()),
    "kvittera_audit_ended_timestamp_seconds": ("When the latest audit ended.", ()),
    "kvittera_audit_differences": ("Lost and doubled answers and differing cells of the latest audit.", ()),
    "kvittera_outbox_waiting": ("Outbox rows not yet published.", ()),
    "kvittera_outbox_age_seconds": ("Age of the oldest unpublished outbox row.", ()),
    "kvittera_outbox_lost": ("Outbox rows whose topic Kafka does not have.", ("topic",)),
    "kvittera_ledger": ("Deliveries by state in the ledger identity.", ("state",)),
    "kvittera_ledger_gap": ("What the ledger identity is off by; must be 0.", ()),
    "kvittera_requests_due": ("Requests whose time has come and that may be sent now.", ()),
    "kvittera_in_doubt": ("Sends whose fate is not known.", ()),
    "kvittera_sending_on": ("Whether the switch allows sending.", ()),
    "kvittera_sending_permitted_until_timestamp_seconds": ("When the permission to reach real people ends.", ()),
    "kvittera_sending_heard": (
        "Whether wishes, erasures, corrections and answers are read, so that sending goes on.",
        (),
    ),
    "kvittera_provider_breaker": ("Whether a provider is left alone after failures in a row.", ("channel",)),
    "kvittera_erasures_pending": ("Erasures that the other services have not been told of yet.", ()),
    "kvittera_cases": ("Cases not yet resolved.", ("state",)),
    "kvittera_cases_by_age": ("Cases not yet resolved, by age.", ("age",)),
    "kvittera_cases_overdue": ("Cases whose first contact is overdue.", ()),
    "kvittera_loop_lag_seconds": ("Longest delay of the event loop in the last minute.", ()),
    "kvittera_months_ahead": ("Months after the present one for which a table has room.", ("table",)),
}
_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_MANY = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
_SLOW = (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 259_200)
HISTOGRAMS: dict[HistogramName, tuple[str, tuple[str, ...], tuple[float, ...]]] = {
    "kvittera_batch_records": ("Records in one transaction.", ("group",), _MANY),
    "kvittera_batch_seconds": ("Seconds from reading a batch to its commit.", ("group",), _FAST),
    "kvittera_answers_per_commit": ("Answers that shared one commit.", (), _MANY),
    "kvittera_freshness_seconds": ("Seconds from the recorded answer to the committed counter.", (), _FAST),
    "kvittera_case_first_contact_seconds": ("Seconds from the opening of a case to the first contact.", (), _SLOW),
    "kvittera_event_to_ask_seconds": ("Seconds from the delivery event to the accepted request.", (), _SLOW),
    "kvittera_provider_call_seconds": ("Seconds that a call to a provider took.", ("provider", "channel"), _FAST),
    "kvittera_ask_to_answer_seconds": ("Seconds from the call with the request to the first answer.", (), _SLOW),
}


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._labelled: dict[tuple[object, ...], Any] = {}
        self._counters = {n: Counter(n, text, labels, registry=self.registry) for n, (text, labels) in COUNTERS.items()}
        self._gauges = {n: Gauge(n, text, labels, registry=self.registry) for n, (text, labels) in GAUGES.items()}
        self._histograms = {
            n: Histogram(n, text, labels, registry=self.registry, buckets=buckets)
            for n, (text, labels, buckets) in HISTOGRAMS.items()
        }

    def count(self, name: CounterName, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self._of(self._counters[name], labels).inc(amount)

    def begin(self, name: CounterName, **labels: str) -> None:
        """Let a count begin at 0: one that begins at 1 never rose, as far as an alert can see."""
        self.count(name, 0, **labels)

    def set(self, name: GaugeName, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._of(self._gauges[name], labels).set(value)

    def tell(self, name: GaugeName, value: Callable[[], float]) -> None:
        """Have a gauge worked out each time that it is asked for."""
        self._gauges[name].set_function(value)

    def observe(self, name: HistogramName, value: float, **labels: str) -> None:
        """Add one observation to a histogram."""
        self._of(self._histograms[name], labels).observe(value)

    def _of(self, metric: M, labels: dict[str, str]) -> M:
        """The metric with these labels; looked up once, since the library checks every name each time."""
        if not labels:
            return metric
        key = (metric, *labels.items())
        known: M | None = self._labelled.get(key)
        if known is None:
            known = self._labelled[key] = metric.labels(**labels)
        return known
