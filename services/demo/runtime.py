"""The demo put together: servers, topics, tables, services, simulated upstream and recipients, one page."""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
from standardwebhooks.webhooks import Webhook

from schemas.topics import CARDS
from services.audit import Audit, run_audit
from services.chassis.environment import load_settings
from services.chassis.failures import MustStop
from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import connect, migrate
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.demo.attached import Attached, Services
from services.demo.inbox import ViewerPages
from services.demo.people import Case, Town, now
from services.demo.place import Options, are_given, environment, port_taken
from services.demo.recipients import Recipients
from services.demo.replay import Replay
from services.demo.report import Report, count_missing
from services.demo.rest import look_at_rest
from services.demo.strangers import refuse_channel, refuse_sender, refuse_strangers
from services.demo.supervisor import SERVICES, Supervisor
from services.demo.upstream import Upstream

_SETTLE_SECONDS = 60.0
_STOPPERS = 0.02
"""Of those who get a text message: few, and enough to see one now and then."""


@dataclass(slots=True)
class Demo:
    """A running demo: what the page and the progress bar look at."""

    options: Options
    settings: Settings
    supervisor: Services
    upstream: Upstream
    recipients: Recipients
    town: Town
    total: int | None
    started: float = field(default_factory=time.monotonic)
    audit: Audit | None = None
    audited_at: float = 0.0
    delivered_before: int = 0
    delivering: asyncio.Event = field(default_factory=asyncio.Event)
    ledger: dict[str, Any] = field(default_factory=dict)


def check(options: Options) -> None:
    """Find what cannot work before anything is started.

    Raises:
        MustStop: says what.
    """
    settings = load_settings()
    if options.attach and (set(options.attach) != set(SERVICES) or options.kill):
        raise MustStop(f"--attach needs the address of each of {', '.join(SERVICES)}, and goes without --kill")
    if are_given(options):
        # Other services may run on the same servers by the same settings, so that ours alone are not enough.
        refuse_channel(settings)
        if not options.not_loopback:
            refuse_strangers(settings, options.attach.values())
    if options.report is not None and not options.report.parent.is_dir():
        raise MustStop(f"the report cannot be written: there is no folder {options.report.parent}")
    if options.replay is not None:
        _replay(options.replay, options).check(now(), options.deliveries)
    if not options.headless:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", options.port))
            except OSError:
                raise MustStop(port_taken(options.port)) from None


async def prepare(settings: Settings) -> None:
    """Topics and tables."""
    await apply_topics(settings, tuple(CARDS.values()))
    for service in SERVICES:
        connection = await connect(settings, service)
        try:
            await migrate(connection, service, f"services.{service}")
        finally:
            await connection.close()


def assemble(options: Options, where: dict[str, str], logs: Path) -> Demo:
    """Everything but the servers, ready to run."""
    variables = where if options.attach else environment(where, options)
    settings = load_settings({**os.environ, **variables})
    ports = {"notifier": settings.notifier_port, "survey": settings.survey_port, "aggregator": settings.aggregator_port}
    urls = options.attach or {service: f"http://127.0.0.1:{port}" for service, port in ports.items()}
    town = Town(options.seed, settings.brand, stoppers=_STOPPERS)
    cases, total = _cases(options, town)
    behaviours: dict[str, Any] = {}
    recipients = Recipients(
        ViewerPages(urls["notifier"]),
        urls["survey"],
        behaviours,
        thinking_seconds=0.0 if options.headless else 4.0,
        concurrency=32 if options.headless else 400,
        gateway=_gateway(settings),
    )
    rate = options.rate if options.rate is not None else (0.0 if options.headless else 20.0)
    return Demo(
        options,
        settings,
        Attached(urls) if options.attach else Supervisor(variables, logs, urls),
        Upstream(settings, cases, rate, behaviours),
        recipients,
        town,
        total,
    )


def _gateway(settings: Settings) -> Webhook | None:
    """The simulated provider of text messages; with --attach there may be no secret that it could sign with."""
    secret = settings.inbound_secrets.get_secret_value().split(",")[0].strip()
    return Webhook(secret) if secret else None


def _cases(options: Options, town: Town) -> tuple[Iterator[Case], int | None]:
    if options.replay is None:
        cases = iter(lambda: town.next_case(now()), None)
        limited = options.deliveries is not None
        return (islice(cases, options.deliveries) if limited else cases), options.deliveries
    replay = _replay(options.replay, options)
    total = min(len(replay), options.deliveries or len(replay))
    return islice(replay.cases(now()), total), total


def _replay(file: Path, options: Options) -> Replay:
    return Replay.open(file, options.mapping or file.with_suffix(".toml"))


async def run(demo: Demo, stop: asyncio.Event, watch: Callable[[Demo], None]) -> Report | None:
    """Run the demo until it is done or stopped; returns the report of a run that was done.

    Raises:
        MustStop: something refuses to run.
    """
    if not demo.options.attach:
        await prepare(demo.settings)
    async with asyncio.TaskGroup() as group:
        services = group.create_task(demo.supervisor.run(stop))
        try:
            await demo.supervisor.wait_until_ready(stop)
            if demo.options.attach and not stop.is_set():
                await refuse_sender(demo.supervisor.urls["notifier"])
            demo.ledger = await _ledger(demo)
            demo.delivered_before = int(demo.ledger["delivered"])
            # A person is asked once about an order, also when the demo is started again on the same data.
            demo.town.begin_after(demo.delivered_before)
            demo.started = time.monotonic()
            demo.delivering.set()
            ended = asyncio.Event()
            work = [
                group.create_task(demo.recipients.run(ended)),
                group.create_task(_publish(demo, stop)),
                group.create_task(_follow(demo, ended, watch)),
            ]
            if demo.options.kill:
                work.append(group.create_task(_kill_now_and_then(demo, ended)))
            report = None
            if demo.options.until_done:
                report = await _until_done(demo, stop)
            else:
                await _until_stopped(demo, stop)
            ended.set()
            await asyncio.wait(work)
        finally:
            stop.set()
        await services
    return report


async def _publish(demo: Demo, stop: asyncio.Event) -> None:
    await demo.recipients.ready.wait()
    await demo.upstream.run(stop)


async def _until_stopped(demo: Demo, stop: asyncio.Event) -> None:
    """Audit again and again while people watch."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            demo.audit = await run_audit(demo.settings)
            demo.audited_at = time.monotonic()
        except OSError:
            pass  # the badge shows how old its audit is
        await pause_or_stop(max(4.0, 10 * (time.monotonic() - began)), stop)


async def _until_done(demo: Demo, stop: asyncio.Event) -> Report | None:
    """Wait until everything published was decided, sent, answered and counted, then prove it."""
    while not stop.is_set() and not await _is_done(demo):
        await pause_or_stop(0.1, stop)
    if stop.is_set():
        return None
    demo.audit = await run_audit(demo.settings, wait=_SETTLE_SECONDS)
    demo.audited_at = time.monotonic()
    demo.ledger = await _ledger(demo)
    missing = await count_missing(demo.settings, demo.recipients.acknowledged.values())
    return Report.of(demo.upstream, demo.recipients, demo.ledger, demo.audit, missing, time.monotonic() - demo.started)


async def _is_done(demo: Demo) -> bool:
    if not demo.upstream.done.is_set() or any(n < demo.options.kill for n in demo.supervisor.kills.values()):
        return False
    if demo.ledger.get("delivered", 0) < demo.delivered_before + demo.upstream.published:
        return False
    # More may be decided than that: an earlier run was stopped before the notifier had read all that it published.
    rest = await look_at_rest(demo.settings, demo.recipients.asked_before)
    return rest is not None and rest.is_over(demo.recipients.handled)


async def _follow(demo: Demo, ended: asyncio.Event, watch: Callable[[Demo], None]) -> None:
    while not ended.is_set():
        demo.ledger = await _ledger(demo) or demo.ledger
        watch(demo)
        await pause_or_stop(0.25, ended)
    watch(demo)


async def _ledger(demo: Demo) -> dict[str, Any]:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{demo.supervisor.urls['notifier']}/ledger") as reply,
        ):
            found: dict[str, Any] = await reply.json() if reply.status == 200 else {}
            return found
    except (aiohttp.ClientError, TimeoutError):
        return {}


async def _kill_now_and_then(demo: Demo, ended: asyncio.Event) -> None:
    """Kill -9 each service as often as asked for, in an order nobody planned."""
    dice = random.Random(demo.options.seed)
    victims = [service for service in SERVICES for _ in range(demo.options.kill)]
    dice.shuffle(victims)
    for service in victims:
        if await pause_or_stop(dice.uniform(0.3, 1.2), ended):
            return
        demo.supervisor.kill(service)
