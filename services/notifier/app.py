"""The notifier put together: settings in, running service out. Nothing is built anywhere else."""

import gc
from dataclasses import dataclass
from datetime import timedelta

from starlette.applications import Starlette

from schemas.contract import Contract
from schemas.delivery import DeliveryCompleted
from schemas.topics import CARDS, DELIVERY_COMPLETED
from services.chassis.arrivals import Arrivals
from services.chassis.bounded_waiting import Presence
from services.chassis.consumer import Reader
from services.chassis.faststream_feed import carry
from services.chassis.fence import Fence
from services.chassis.http import make_app, serve
from services.chassis.kafka import membership
from services.chassis.known_keys import check_keys
from services.chassis.known_server import KnownServer
from services.chassis.lifecycle import Task, run_until_stopped
from services.chassis.logs import configure_logs, tell_start
from services.chassis.message_lines import DECIDED, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, check_migrated, database_time, open_look_up_pool, open_pool
from services.chassis.record_lines import RecordLines
from services.chassis.records import Received
from services.chassis.sealing import Seal
from services.chassis.settings import Settings, live_sending
from services.chassis.staff.door import behind_sign_in
from services.chassis.staff.gate import gate_for
from services.chassis.staff.sign_outs import heard_sign_outs
from services.chassis.subscriptions import Subscriptions
from services.chassis.traces import Traces
from services.notifier import http, receipt_routes, state
from services.notifier.arriving import reading_deliveries
from services.notifier.channels import Channel
from services.notifier.channels.routed import SMTP, reporting
from services.notifier.channels.viewer import OutboxViewer
from services.notifier.dispatch import Dispatcher, Limits, utc_now
from services.notifier.due import measure_due
from services.notifier.handlers import DecideDeliveries
from services.notifier.hearing import PATIENCE, Hearing
from services.notifier.ledger import measure_ledger
from services.notifier.policies import PolicyBook, read_policies
from services.notifier.policy import Rules
from services.notifier.policy.draws import KEY
from services.notifier.receipts import ReceiptsInbox
from services.notifier.render import Renderer, Sender
from services.notifier.retention import measure_erasures, months, retention
from services.notifier.send_guard import persons_allowed
from services.notifier.volume import watch_volume

SERVICE = "notifier"
_GROUP = "kvittera-notifier"
FOR_STAFF = ("/outbox/", "/decisions/", "/ledger")
PACKAGE = "services.notifier"
_BATCH = 500


async def run(settings: Settings) -> None:
    """Run the notifier until it is told to stop.

    Raises:
        MustStop: it cannot or must not run; the message says what to do.
    """
    configure_logs(settings, SERVICE)
    tell_start(settings.http_host, settings.notifier_port)
    # Batches and calls make many objects that are in no cycle; each look through them is wasted.
    gc.set_threshold(100_000, 50, 100)
    known = KnownServer()
    shared = await _shared(settings, known)
    pool, metrics = shared.pool, shared.metrics
    policies = read_policies(settings.policies_folder)
    channel = choose_channel(settings, pool, shared.seal, metrics)
    relay = Relay(settings, SERVICE, metrics, known)
    deliveries, heard = _deliveries(shared, policies, channel), _heard(shared)
    hearing = Hearing(Arrivals(heard, PATIENCE).all_applied, metrics)
    dispatcher = _dispatcher(shared, policies, channel, relay, hearing)
    gate = gate_for(settings, utc_now)
    app = behind_sign_in(_pages(shared, channel, deliveries), settings, gate, FOR_STAFF)
    try:
        await run_until_stopped(
            {
                "http": lambda stop: serve(app, settings.http_host, settings.notifier_port, stop),
                "deliveries": carry(deliveries, settings, max_records=_BATCH),
                "watch": deliveries.watch,
                "state": carry(heard, settings, max_records=_BATCH),
                "watch state": heard.watch,
                "hearing": hearing.run,
                **heard_sign_outs(shared.subscriptions, gate),
                "relay": relay.run,
                "server": known.watch,
                "dispatch": dispatcher.run,
                "sweep": dispatcher.sweep.run,
                **_upkeep(shared, dispatcher),
            },
            drain_seconds=settings.drain_seconds,
            metrics=metrics,
        )
    finally:
        shared.traces.close()
        shared.claiming.terminate()
        pool.terminate()


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all parts share.

    Attributes:
        claiming: one connection for claims. PostgreSQL would plan them anew each time, in all months: 3 to 6 ms.
    """

    settings: Settings
    seal: Seal
    metrics: Metrics
    traces: Traces
    pool: Pool
    claiming: Pool
    lines: MessageLines

    @property
    def subscriptions(self) -> Subscriptions:
        """How topics are read."""
        port = self.settings.notifier_port
        return Subscriptions(self.settings, SERVICE, port, self.pool, self.metrics, self.traces, self.lines)


async def _shared(settings: Settings, known: KnownServer) -> _Shared:
    """Made by the settings, with the tables checked."""
    seal = Seal.of(settings)
    metrics = Metrics()
    traces = Traces.from_settings(settings, SERVICE)
    pool = await open_pool(settings, SERVICE, known=known)
    async with pool.acquire() as connection:
        await check_migrated(connection, SERVICE, PACKAGE)
        await check_keys(connection, SERVICE, seal)
    claiming = await open_look_up_pool(settings, SERVICE, 1, known=known)
    return _Shared(settings, seal, metrics, traces, pool, claiming, MessageLines.from_settings(settings))


def _deliveries(shared: _Shared, policies: PolicyBook, channel: Channel) -> Reader[Received[DeliveryCompleted]]:
    """Decides about each delivery whether to ask, by what the channel can reach."""
    settings, seal = shared.settings, shared.seal
    rules = Rules(
        timedelta(hours=settings.max_delivery_age_hours),
        timedelta(seconds=settings.ask_delay_seconds),
        channel.kinds,
        sampling_key=seal.pseudonym(KEY),
    )
    decide = DecideDeliveries.with_queries(
        rules=rules,
        policies=policies,
        seal=seal,
        brand=settings.brand,
        link_lifetime=timedelta(days=settings.lock_after_days),
        metrics=shared.metrics,
        now=database_time,
    )
    return shared.subscriptions.reader(
        DELIVERY_COMPLETED, _GROUP, DeliveryCompleted, decide, DECIDED, decode=reading_deliveries(_GROUP)
    )


def _heard(shared: _Shared) -> Reader[Received[Contract]]:
    """Keeps what is heard beside deliveries, of all topics in one order."""
    settings = shared.settings
    fence = Fence(
        pool=shared.pool,
        service=SERVICE,
        group=state.GROUP,
        decode=state.reading_state(),
        apply=state.KeepState(utc_now, shared.metrics),
        dead_letter_topics={topic: str(CARDS[topic].dead_letter) for topic in state.MODELS},
        metrics=shared.metrics,
        traces=shared.traces,
        lines=RecordLines(shared.lines),
    )
    return Reader(settings, fence, state.MODELS, membership(settings, SERVICE, settings.notifier_port))


def _dispatcher(shared: _Shared, policies: PolicyBook, channel: Channel, relay: Relay, hearing: Hearing) -> Dispatcher:
    """Hands over what is due, as far and as fast as the settings and policies allow."""
    settings = shared.settings
    to_nobody = settings.channel == "outbox"

    def permitted() -> bool:
        return hearing.is_current() and (to_nobody or live_sending(settings, utc_now()))

    return Dispatcher(
        pool=shared.pool,
        channel=channel,
        renderer=Renderer(Sender(settings.brand, settings.help_phone, settings.help_email, settings.public_url)),
        seal=shared.seal,
        relay=relay,
        metrics=shared.metrics,
        now=utc_now,
        permitted=permitted,
        limits=Limits(
            settings.send_concurrency,
            settings.send_lease_seconds,
            settings.max_delivery_age_hours * 3600,
            settings.in_doubt_deadline_seconds,
            None if to_nobody else settings.sends_per_minute,
        ),
        policies=lambda: policies.at(utc_now()),
        only_to=persons_allowed(settings.send_only_to.get_secret_value(), shared.seal),
        claiming_pool=shared.claiming,
        lines=shared.lines,
        traces=shared.traces,
        departs=policies.departs,
    )


def _pages(shared: _Shared, channel: Channel, deliveries: Reader[Received[DeliveryCompleted]]) -> Starlette:
    """What staff, scrapers and providers ask for."""
    settings, pool, seal, metrics = shared.settings, shared.pool, shared.seal, shared.metrics

    there = Presence(pool)

    async def ready() -> str | None:
        if deliveries.consumer is None:
            return "deliveries are not read yet"
        # Receipts and staff's pages need PostgreSQL only: while Kafka is away they are served.
        return None if await there.is_there() else "PostgreSQL does not answer"

    inbox = ReceiptsInbox(pool, PersonKeys(seal), timedelta(days=settings.unreachable_days), metrics)
    receipts = receipt_routes.routes(inbox, reporting(channel, SMTP), metrics)
    return make_app([*http.routes(pool, seal), *receipts], ready=ready, metrics=metrics)


def _upkeep(shared: _Shared, dispatcher: Dispatcher) -> dict[str, Task]:
    """What looks after the tables from time to time."""
    settings, pool, metrics = shared.settings, shared.pool, shared.metrics
    cap, permitted = dispatcher.limits.cap_per_minute, dispatcher.permitted
    return {
        "volume": lambda stop: watch_volume(pool, metrics, settings.usual_sends_per_hour, stop),
        "ledger": lambda stop: measure_ledger(pool, metrics, stop),
        "due": lambda stop: measure_due(pool, metrics, stop, cap=cap, permitted=permitted),
        "retention": lambda stop: retention(settings).daily(pool, metrics, stop),
        "months": lambda stop: months(settings).daily(pool, metrics, stop),
        "erasures": lambda stop: measure_erasures(pool, metrics, stop),
    }


def choose_channel(settings: Settings, pool: Pool, seal: Seal, metrics: Metrics) -> Channel:
    """The channel that the settings allow; reaching real people needs an explicit permission with an end.

    Raises:
        MustStop: a live channel without a permission, or a wrong providers' file.
    """
    if settings.channel == "outbox":
        return OutboxViewer(pool, seal)
    from services.notifier.channels.live import live_channel  # the clients of all kinds of providers

    return live_channel(settings, seal, metrics, utc_now())
