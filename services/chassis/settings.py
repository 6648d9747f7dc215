"""All settings of Kvittera; `environment.py` reads them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

PREFIX = "KVITTERA_"


class Settings(BaseModel):
    """Every setting with its default. Wrong or unknown ones stop the start, by name."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Kafka brokers to ask first: `host:port`, several separated by commas."""
    kafka_replication: int = Field(default=1, ge=1, le=9)
    """Replicas of each topic that `kvittera topics apply` creates. Use 3 in production."""
    kafka_partitions: int | None = Field(default=None, ge=1, le=1000)
    """Partitions of newly created topics; unset: as each topic card says."""
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """How to speak with the brokers: `ssl` encrypts, `sasl_*` logs in with a name and a password."""
    kafka_ca_file: Path | None = None
    """PEM file of the authority that signed the brokers' certificates; unset: the machine's own list."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How the name and password are shown to the brokers."""
    kafka_username: str = ""
    """Name to log in to the brokers with; needed by `sasl_*`."""
    kafka_password: SecretStr = SecretStr("")
    """Password to log in to the brokers with; needed by `sasl_*`."""
    postgres_dsn: SecretStr = SecretStr("postgresql://postgres@127.0.0.1:5432/kvittera")
    """The PostgreSQL database; each service keeps to its own schema in it."""
    postgres_connections: int = Field(default=8, ge=2, le=200)
    """Connections that one service process may hold."""
    allow_unsafe_postgres: bool = False
    """Tests only: start although PostgreSQL would lose acknowledged answers in a crash (fsync off)."""
    instance: str = Field(default="", max_length=100, pattern=r"^[A-Za-z0-9._-]*$")
    """Name of this machine or pod in the consumer groups; unset: its host name. Must not be shared."""
    boot_patience_seconds: float = Field(default=60, ge=0)
    """How long a starting service waits for Kafka and PostgreSQL."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important level that is written."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto` writes for people on a terminal and JSON lines otherwise."""
    log_messages: int = Field(default=50, ge=0, le=10_000)
    """Most lines a second about handled messages, of each kind and by one process; 0: none but of those put aside."""

    otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://[^/]+(/[^?#]*)?$")
    """OpenTelemetry collector that takes traces over HTTP, as `http://host:4318`; unset: no traces are told."""
    trace_share: float = Field(default=0.01, ge=0, le=1)
    """Share of traces that are told; the same for all services, so that whole traces are kept."""

    http_host: str = "127.0.0.1"
    """Address that the HTTP servers listen on."""
    http_published_on_loopback: bool = False
    """Only this machine reaches them, wherever they listen: containers whose ports are published on 127.0.0.1."""
    notifier_port: int = Field(default=8601, ge=1, le=65535)
    """Port of the notifier."""
    survey_port: int = Field(default=8602, ge=1, le=65535)
    """Port of the survey service."""
    aggregator_port: int = Field(default=8603, ge=1, le=65535)
    """Port of the aggregator."""
    public_url: str = Field(default="http://127.0.0.1:8602", pattern=r"^https?://[^/]+(/[^?#]*)?$")
    """Where recipients reach the survey; links in messages start with it."""
    trusted_proxies: int = Field(default=0, ge=0, le=9)
    """Proxies of our own in front of the survey, each of which appends to `X-Forwarded-For`."""
    wrong_links_per_minute: int = Field(default=60, ge=1)
    """Who opens more links that do not exist is not shown pages for a while."""

    staff_sign_in: Literal["off", "demo", "oidc"] = "off"
    """How staff sign in: not at all, with an account that anybody may take (loopback only), or at a provider."""
    staff_url: str = Field(default="", pattern=r"^(https?://[^/?#@]+)?$")
    """Where staff reach the staff pages, without a path; empty: the origin of `public_url`."""
    staff_session_hours: float = Field(default=8, gt=0, le=24)
    """A sign-in ends this long after it began."""
    staff_idle_minutes: float = Field(default=60, gt=0, le=1440)
    """A sign-in that is not used for this long ends."""
    oidc_issuer: str = Field(default="", pattern=r"^(https?://[^?#@]+)?$")
    """The OpenID provider, exactly as it names itself."""
    oidc_client_id: str = ""
    """What the provider calls Kvittera."""
    oidc_client_secret: SecretStr = SecretStr("")
    """What proves to the provider that it is Kvittera; empty: a public client, by PKCE alone."""
    oidc_role_claim: str = Field(default="groups", min_length=1)
    """The claim of the ID token that holds roles, as a list or as words."""
    oidc_role_prefix: str = Field(default="kvittera", min_length=1)
    """Roles in that claim begin with this: `kvittera:lead` everywhere, `kvittera:lead:Luleå` at one terminal."""

    brand: str = Field(default="Nordposten Demo", min_length=1, max_length=60)
    """The carrier's name as recipients know it."""
    help_phone: str = "08-465 004 10"
    """Phone number of a person who can help, shown in messages and pages."""
    help_email: str = "hjalp@nordposten.example"
    """Mail address of a person who can help, shown in messages and pages."""
    demo_mark: bool = False
    """Mark every recipient page as showing demo data."""

    sealing_key: SecretStr = SecretStr("")
    """64 hex digits (32 random bytes) that seal contact data and comments at rest. Required by the services."""
    sealing_keys_before: SecretStr = SecretStr("")
    """Earlier sealing keys, the latest first, separated by commas: they open, and the oldest makes the pseudonyms."""
    channel: Literal["outbox", "smtp", "providers"] = "outbox"
    """`outbox` keeps requests in the local outbox viewer, `smtp` sends e-mail, `providers` what its file says."""
    providers_file: Path | None = None
    """TOML file that describes the providers of `KVITTERA_CHANNEL=providers`."""
    receipts_url: str = Field(default="", pattern=r"^(https?://[^/?#@]+)?$")
    """Where providers reach the notifier's receipts inbox; empty: `public_url`."""
    live_sending_until: AwareDatetime | None = None
    """Sending to real people is on only until this moment (RFC 3339). Without it only `outbox` works."""
    send_only_to: SecretStr = SecretStr("*")
    """Staging: only these addresses are reached, separated by commas or lines; the rest is withheld. `*`: everybody."""
    smtp_host: str = "127.0.0.1"
    """SMTP server."""
    smtp_port: int = Field(default=25, ge=1, le=65535)
    """Port of the SMTP server."""
    smtp_sender: str = "Nordposten Demo <svar@nordposten.example>"
    """From address of e-mails; replies to it must be read by a person."""
    smtp_bounces: str = Field(default="", pattern=r"^([^@\s+]{1,8}@[^@\s]+)?$")
    """Address that bounces come back to; each message's reference is added before the @. Empty: to the sender."""
    unreachable_days: float = Field(default=180, gt=0)
    """An address that was reported as hopeless is not written to for so long."""
    smtp_timeout_seconds: float = Field(default=20, gt=0)
    """After this long without an answer an e-mail is in doubt."""
    max_delivery_age_hours: float = Field(default=72, gt=0)
    """Older deliveries are not asked about, by event time and by time of arrival."""
    policies_folder: Path | None = None
    """Folder of TOML files with the carrier's own policies for asking; unset: those that come with the service."""
    ask_delay_seconds: float = Field(default=0, ge=0)
    """Pause between delivery and request."""
    send_lease_seconds: float = Field(default=60, gt=1)
    """A send that its process has not finished after this long is taken from it; longer where time-outs need it."""
    in_doubt_deadline_seconds: float = Field(default=86400, gt=0)
    """After this long an unresolved send is given up as `unknown`; it is never sent again."""
    send_concurrency: int = Field(default=64, ge=1, le=1000)
    """Messages that one notifier process hands over at the same time."""
    sends_per_minute: int = Field(default=600, ge=1)
    """Most messages that begin to leave in any minute by one kind of channel, over all processes; not for `outbox`."""
    usual_sends_per_hour: int = Field(default=5000, ge=1)
    """More than this in an hour, and than thrice the busiest hour of 28 days, pauses sending; not for `outbox`."""

    surveys_folder: Path | None = None
    """Folder of TOML files with survey definitions of one's own; unset: only those that come with the service."""
    lock_after_days: float = Field(default=14, gt=0)
    """How long an answer can be changed, and a link be used, after it was made."""
    survey_queue: int = Field(default=4096, ge=1)
    """Answers that may wait for the next commit; beyond that the service says 503."""
    inbound_secrets: SecretStr = SecretStr("")
    """Secrets (`whsec_…`) that gateways sign replies by text message with, separated by commas."""
    inbound_url_secret: SecretStr = SecretStr("")
    """Secret in the address for replies through 46elks, and WhatsApp's verify token; empty: 46elks is not let in."""
    inbound_twilio_token: SecretStr = SecretStr("")
    """Auth token of the Twilio account whose numbers take replies; empty: Twilio is not let in."""
    inbound_whatsapp_secret: SecretStr = SecretStr("")
    """Secret of the WhatsApp app that takes replies; empty: WhatsApp is not let in."""
    inbound_country: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    """Country of our numbers: a reply from `070…` is from there; empty: such senders are nobody's."""
    kiosk_debounce_seconds: float = Field(default=3, ge=0, le=60)
    """A tap at a kiosk so soon after the one before is the same person, and corrects it."""
    outcome_text_url: str = Field(default="", pattern=r"^(https?://[^/?#@]+(/[^?#]*)?)?$")
    """Gateway that takes words to people who left a phone number; empty: they go by e-mail only."""
    outcome_text_secret: SecretStr = SecretStr("")
    """Secret (`whsec_…`) that those messages are signed with."""
    survey_follow_up: bool = True
    """Read the answers for cases and praise; off where other survey processes of the group do it."""

    case_triggers: str = Field(
        default="low_score,wants_contact,contested,damaged",
        pattern=r"^(|((low_score|wants_contact|contested|damaged),)*(low_score|wants_contact|contested|damaged))$",
    )
    """Which rules open a follow-up case."""
    case_low_score: int = Field(default=2, ge=1, le=4)
    """This score or a lower one opens a case."""
    case_desks: str = Field(default="", pattern=r"^(|([^=,]+=[^=,]+,)*[^=,]+=[^=,]+)$")
    """Terminals whose cases another terminal reads: `Segeltorp=Årsta`, several separated by commas."""
    case_working_hours: str = Field(default="Mon-Fri 08-18", pattern=r"^[A-Z][a-z-]+[A-Za-z]+ [0-2][0-9]-[0-2][0-9]$")
    """When people work on cases, in the time of the place of delivery; its public holidays are free."""
    case_contact_hours: float = Field(default=10, gt=0, le=400)
    """Working hours within which a person should hear from a human."""
    praise_from_score: int = Field(default=4, ge=4, le=5)
    """A comment with this score or above is praise."""
    praise_chips: str = Field(default="courtesy", pattern=r"^([a-z_]+(,[a-z_]+)*)?$")
    """Reasons that are praise even without a comment, with a score of 4 or 5; several separated by commas."""
    praise_hours: float = Field(default=16, gt=0, le=400)
    """Working hours within which praise is passed on."""
    board_days: int = Field(default=7, ge=1, le=31)
    """A whiteboard looks back so many days, today included."""

    review_policy_file: Path | None = None
    """TOML file that says where whose recipients may leave a public review; unset: nowhere."""

    cuts_file: Path | None = None
    """TOML file with a version that names the cuts to count and their windows; unset: the built-in ones."""
    minute_keep_hours: float = Field(default=48, gt=0, le=8784)
    """Cells of single minutes are kept this long."""
    aggregator_batch: int = Field(default=100_000, ge=1, le=500_000)
    """Most events counted in one transaction. Where it cuts, one partition falls behind the others."""
    partner_k: int = Field(default=10, ge=10)
    """Respondents that a change of a partner's number must hold (docs/partners.md)."""
    public_k: int = Field(default=50, ge=50)
    """The same for numbers that everybody may see."""
    publish_interval_seconds: float = Field(default=0.25, ge=0)
    """Changed cells are published at most this often."""
    publish_interval_behind_seconds: float = Field(default=10, ge=0)
    """The same while 10,000 records or more wait, or until memory is full of them; while fewer wait, in proportion."""
    anti_entropy_seconds: float = Field(default=60, gt=0)
    """How often the published cells are compared with the counted ones; a tenth as often while 10,000 records wait."""
    alert_cuts: str = "terminal,route,service_point,merchant"
    """Cuts whose values are watched for more dissatisfied answers than expected; separated by commas, empty: none."""
    alert_interval_seconds: float = Field(default=60, ge=0)
    """How often the watch looks; 0: never."""
    month_tolerance_days: float = Field(default=14, ge=0, le=366)
    """A month may be closed so long after its end."""
    pages_zone: str = "Europe/Stockholm"
    """Zone whose clock says what day it is on staff's pages."""
    quality_notes_file: Path | None = None
    """TOML file with breaks of the series and comments on months, for the public quality page."""

    comment_keep_days: float = Field(default=400, gt=0)
    """Comments, and staff's notes on resolved cases, are kept this long."""
    contact_keep_days: float = Field(default=90, gt=0)
    """A wish to be contacted is kept this long, and while its case is open."""
    contact_view_keep_days: float = Field(default=730, gt=0)
    """Who looked at whose contact data is kept this long, and until the whole month is so old."""
    message_keep_days: float = Field(default=30, gt=0)
    """Messages of the outbox viewer, and addresses of requests that never left, are kept this long; reports of
    providers also until their whole month is so old."""
    request_keep_months: int = Field(default=15, ge=13, le=1200)
    """Requests are kept this long, and until the whole month is so old. Budgets and wishes count the last 365 days."""
    dead_link_keep_months: int = Field(default=24, ge=13, le=1200)
    """Links that nobody answered are kept this long after they were locked, for who unsubscribes late or asks whether a
    message is ours."""
    outbox_keep_hours: float = Field(default=72, ge=0)
    """Published outbox rows are kept this long, so that a lost broker can be refilled."""
    stall_seconds: float = Field(default=30, gt=0)
    """A consumer with lag and no movement for this long ends its process, and so does a loop that does not turn.

    One that does not learn where to read on, or is not let into its group, ends it after twice as long.
    """
    drain_seconds: float = Field(default=15, gt=0)
    """Time that a stopping service takes to finish what it began."""


def live_sending(settings: Settings, now: datetime) -> bool:
    """Whether messages may go to real people now. Fails closed."""
    return settings.live_sending_until is not None and now.astimezone(UTC) < settings.live_sending_until
