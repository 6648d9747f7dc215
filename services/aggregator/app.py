"""The aggregator put together: settings in, running service out. Nothing is built anywhere else."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from schemas.topics import CARDS
from services.aggregator import http
from services.aggregator.counting.answer_columns import Block, blocks_reader
from services.aggregator.counting.behind import CountersBehind
from services.aggregator.counting.complaints import complaints_reader
from services.aggregator.counting.cuts import Cut, CutsFile, read_cuts
from services.aggregator.counting.freshness import Freshness
from services.aggregator.counting.minute_cells import MinuteCells
from services.aggregator.counting.reading import GROUP, TOPICS, Counted, reader
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.zone_data import note_zone_data, zone_data
from services.aggregator.digests import routes as digest_routes
from services.aggregator.figures import routes as figure_routes
from services.aggregator.figures.alerts import Alerts, watch, watched_cuts
from services.aggregator.handlers import CountBatch
from services.aggregator.history.latest_audit import LatestAudit
from services.aggregator.live.disruptions import disruptions_reader
from services.aggregator.live.scope import zone_named
from services.aggregator.live.scopes import LiveScopes
from services.aggregator.partners import http as partner_http
from services.aggregator.partners.publishing import PartnerPublisher
from services.aggregator.publishing.publisher import Publisher
from services.aggregator.quality.publisher import publisher_of
from services.aggregator.quality.routes import QualityPages
from services.aggregator.staff.driver import DriverPages
from services.aggregator.staff.terminal import TerminalPages
from services.chassis.batch_memory import make_ready_for_large_batches
from services.chassis.consumer import Reader
from services.chassis.fence import Fence
from services.chassis.http import make_app, serve
from services.chassis.kafka import NO_HURRY_MS, membership
from services.chassis.known_server import KnownServer
from services.chassis.lifecycle import Task, run_until_stopped
from services.chassis.logs import configure_logs, tell_start
from services.chassis.message_lines import COUNTED, MessageLines
from services.chassis.metrics import Metrics
from services.chassis.outbox import Relay
from services.chassis.own_feed import consume
from services.chassis.postgres import Database, Pool, check_migrated, named_sql, open_pool
from services.chassis.record_lines import RecordLines
from services.chassis.settings import Settings
from services.chassis.staff import Gate
from services.chassis.staff.door import behind_sign_in
from services.chassis.staff.gate import gate_for
from services.chassis.staff.sign_outs import heard_sign_outs
from services.chassis.subscriptions import Subscriptions
from services.chassis.traces import Traces

log = structlog.get_logger()
SERVICE = "aggregator"
PACKAGE = "services.aggregator"
FOR_STAFF = ("/live", "/terminals/", "/api/live", "/api/cells", *figure_routes.FOR_STAFF, *digest_routes.FOR_STAFF)
_CASES = 1000
_LATE_SECONDS = 3600.0  # days are judged half a day after their end; records that wait for longer belong to them
_FRESH_SECONDS = 60.0  # after a start, or counters made anew, partners wait until all else is counted
_FETCH_BYTES = 12 * 1024 * 1024  # 21,000 answers; larger batches touch fewer cells anew
_FETCH_WAIT_MS = 25  # counters are to be fresh, and an idle broker that is asked forty times a second has little to do


async def run(settings: Settings) -> None:
    """Run the aggregator until it is told to stop.

    Raises:
        MustStop: it cannot or must not run; the message says what to do.
    """
    configure_logs(settings, SERVICE)
    tell_start(settings.http_host, settings.aggregator_port)
    make_ready_for_large_batches()
    alerts = Alerts(watched_cuts(settings.alert_cuts))
    known = KnownServer()
    shared = await _shared(settings, known)
    pool, metrics = shared.pool, shared.metrics
    publisher = Publisher(settings, metrics, waiting=lambda: reading.lag, known=known)
    freshness, behind = Freshness(), CountersBehind(settings, pool, metrics)
    reading = _counting(shared, publisher, freshness)
    feeds = LiveScopes(pool, reading, zone_named(settings.pages_zone), freshness)
    ending = asyncio.Event()
    gate = gate_for(settings, _now)
    app = behind_sign_in(_pages(shared, reading, feeds, ending, gate), settings, gate, FOR_STAFF)

    async def keep_live(stop: asyncio.Event) -> None:
        try:
            await feeds.run(stop)
        finally:
            ending.set()

    try:
        await run_until_stopped(
            {
                "http": lambda stop: serve(app, settings.http_host, settings.aggregator_port, stop),
                "count": lambda stop: consume(
                    reading,
                    stop,
                    max_records=settings.aggregator_batch,
                    fetch_wait_ms=_FETCH_WAIT_MS,
                    fetch_bytes=_FETCH_BYTES,
                ),
                "watch": reading.watch,
                "behind": behind.run,
                "audit": LatestAudit(pool, metrics).run,
                **_heard(shared.subscriptions),
                "live": keep_live,
                "publish": publisher.run,
                "partners": PartnerPublisher(
                    settings, metrics, lambda: behind.at_most(_FRESH_SECONDS), known=known
                ).run,
                "minutes": MinuteCells(pool, settings.minute_keep_hours).run,
                **heard_sign_outs(shared.subscriptions, gate),
                "relay": Relay(settings, SERVICE, metrics, known).run,
                "server": known.watch,
                "alerts": lambda stop: watch(
                    pool, alerts, settings.alert_interval_seconds, stop, counted=lambda: behind.at_most(_LATE_SECONDS)
                ),
            },
            drain_seconds=settings.drain_seconds,
            metrics=metrics,
        )
    finally:
        shared.traces.close()
        pool.terminate()


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all parts share."""

    settings: Settings
    cuts: Sequence[Cut]
    metrics: Metrics
    traces: Traces
    pool: Pool
    lines: MessageLines

    @property
    def subscriptions(self) -> Subscriptions:
        """Ways to read topics that are not counted."""
        port = self.settings.aggregator_port
        return Subscriptions(self.settings, SERVICE, port, self.pool, self.metrics, self.traces, self.lines)


async def _shared(settings: Settings, known: KnownServer) -> _Shared:
    """Made by the settings, with the tables checked."""
    file = read_cuts(settings.cuts_file)
    pool = await _pool(settings, file, known)
    traces, lines = Traces.from_settings(settings, SERVICE), MessageLines.from_settings(settings)
    return _Shared(settings, file.cuts, Metrics(), traces, pool, lines)


async def _pool(settings: Settings, file: CutsFile, known: KnownServer) -> Pool:
    """The pool of a service whose tables are migrated and count by these cuts.

    Raises:
        MustStop: they do not.
    """
    incoming = named_sql(PACKAGE)["make_incoming"]

    async def prepare(connection: Database) -> None:
        if await connection.fetchval("SELECT to_regclass('answer') IS NOT NULL"):
            await connection.execute(incoming)

    pool = await open_pool(settings, SERVICE, prepare=prepare, known=known)
    async with pool.acquire() as connection:
        await check_migrated(connection, SERVICE, PACKAGE)
        stands = await StoredCuts().agree(connection, file)
        if stands is not file:
            log.warning("counts by the built-in cuts of a version before", action="switch cuts", version=stands.version)
        await note_zone_data(connection, zone_data(), _now())
    return pool


def _counting(shared: _Shared, publisher: Publisher, freshness: Freshness) -> Reader[Counted | Block]:
    """Counts answers and decisions, and tells the publisher what has changed."""
    settings, metrics = shared.settings, shared.metrics
    units = Units(shared.pool, shared.cuts)
    fence: Fence[Counted | Block] = Fence(
        pool=shared.pool,
        service=SERVICE,
        group=GROUP,
        decode=reader(),
        together=blocks_reader(units),
        apply=CountBatch(units, metrics, publisher.counted, freshness=freshness),
        dead_letter_topics={t: str(CARDS[t].dead_letter) for t in TOPICS},
        metrics=metrics,
        traces=shared.traces,
        lines=RecordLines(shared.lines, COUNTED),
        committed=publisher.wake,
    )
    held = partial(StoredCuts().are_held, shared.pool)
    return Reader(settings, fence, TOPICS, membership(settings, SERVICE, settings.aggregator_port), held)


def _heard(subscriptions: Subscriptions) -> dict[str, Task]:
    """Reads what stands beside the counters."""
    complained, disrupted = complaints_reader(subscriptions), disruptions_reader(subscriptions)
    return {
        "complaints": lambda stop: consume(complained, stop, max_records=_CASES, fetch_wait_ms=NO_HURRY_MS),
        "watch complaints": complained.watch,
        "disruptions": lambda stop: consume(disrupted, stop, max_records=_CASES, fetch_wait_ms=NO_HURRY_MS),
        "watch disruptions": disrupted.watch,
    }


def _pages(
    shared: _Shared, reading: Reader[Counted | Block], feeds: LiveScopes, ending: asyncio.Event, gate: Gate
) -> Starlette:
    """What staff, partners, scrapers and everybody ask for."""

    async def ready() -> str | None:
        return None if reading.consumer is not None else "answers are not read yet"

    routes = [*http.routes(shared.pool, feeds, ending, gate), *_routes(shared.settings, shared.pool, gate)]
    return make_app(routes, ready=ready, metrics=shared.metrics)


def _routes(settings: Settings, pool: Pool, gate: Gate) -> list[Route]:
    """What is served from the tables alone."""
    return [
        *partner_http.routes(pool),
        *figure_routes.routes(pool, settings),
        *digest_routes.routes(pool, gate, _now),
        *TerminalPages(pool, _now).routes(),
        *DriverPages(pool, gate, _now).routes(),
        *QualityPages(pool, publisher_of(settings)).routes(),
    ]
