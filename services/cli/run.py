"""`kvittera notifier | survey | aggregator | migrate`: run a service, prepare the database."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from services.chassis.settings import Settings

_SERVICES = "Services"
_LEAST_STILL = 30.0
"""Seconds; a look at a Kafka that does not answer takes some."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=_SERVICES)(notifier)
    app.command(rich_help_panel=_SERVICES)(survey)
    app.command(rich_help_panel=_SERVICES)(aggregator)
    app.command(rich_help_panel="Preparation")(migrate)


def run_loop(service: Callable[["Settings"], Coroutine[Any, Any, None]]) -> None:
    """Run a service on uvloop; its process ends hard where it stands still."""
    import uvloop

    from services.chassis.environment import load_settings
    from services.chassis.loop_watch import watched

    settings = load_settings()
    gc.freeze()  # what imports made stays: no later look for garbage goes through it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(watched(service(settings), max(settings.stall_seconds, _LEAST_STILL)))


def notifier() -> None:
    """Decide about deliveries and send requests.

    Reads delivery.completed.v1, decides exactly once whether, when, how and in which language to ask, sends,
    and tells invitation.decided.v1. By default messages stay in the outbox viewer; nobody outside is reached.
    """
    from services.notifier.app import run

    run_loop(run)


def survey() -> None:
    """Show the survey page and keep the answers.

    Serves /r/{token}; an answer that got 2xx is on disk. Tells response.recorded.v1.
    """
    from services.survey.app import run

    run_loop(run)


def aggregator() -> None:
    """Count answers exactly once and publish the counters.

    Reads invitation.decided.v1 and response.recorded.v1, publishes satisfaction.cells.v1, serves /api/cells
    and the live page.
    """
    from services.aggregator.app import run

    run_loop(run)


def migrate() -> None:
    """Bring the database schemas of all services up to date.

    Safe to run at any time and from several places at once; what is done already is skipped.
    """
    from services.embedded.local import reachable

    with reachable(postgres=True) as settings:
        asyncio.run(migrate_all(settings))


async def migrate_all(settings: "Settings") -> None:
    """Apply all migrations and say which."""
    import asyncpg

    from services.chassis.failures import MustStop
    from services.chassis.postgres import connect, fault
    from services.chassis.postgres import migrate as bring_up_to_date

    try:
        connection = await connect(settings, "public")
    except (OSError, asyncpg.PostgresError) as error:
        raise MustStop(f"PostgreSQL cannot be used ({fault(error)}); check KVITTERA_POSTGRES_DSN") from None
    try:
        for service in ("notifier", "survey", "aggregator"):
            applied = await bring_up_to_date(connection, service, f"services.{service}")
            print(f"{service}: {', '.join(applied) if applied else 'up to date'}")
    finally:
        await connection.close()
