"""Where made-up deliveries must never go: to a provider that reaches people, and to servers that may hold real ones."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp

from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.chassis.staff.origins import is_loopback

_PERMITTED_UNTIL: Final = re.compile(r"^kvittera_sending_permitted_until_timestamp_seconds (\S+)$", re.MULTILINE)
"""In the notifier's metrics, by its channel: 0 where nobody outside is reached."""


def refuse_channel(settings: Settings) -> None:
    """Made-up people are asked in the outbox viewer only.

    Raises:
        MustStop: messages would leave it.
    """
    if settings.channel != "outbox":
        raise MustStop("KVITTERA_CHANNEL must be outbox: made-up deliveries are of people who do not exist")


def refuse_strangers(settings: Settings, urls: Iterable[str]) -> None:
    """Made-up deliveries belong on this machine.

    Raises:
        MustStop: a target is elsewhere.
    """
    hosts = {
        *(_host(part) for part in settings.kafka_bootstrap.split(",")),
        *_postgres_hosts(settings.postgres_dsn.get_secret_value(), os.environ),
        *(urlsplit(url).hostname or "" for url in urls),
    }
    # No host in a DSN, or a path, is a socket of this machine.
    strange = sorted(host for host in hosts if host and not host.startswith("/") and not is_loopback(host))
    if strange:
        raise MustStop(
            f"{', '.join(strange)} is not this machine: made-up answers stay in the counters for good;"
            " give --not-loopback where that is wanted"
        )


async def refuse_sender(notifier: str) -> None:
    """A notifier that others run must reach nobody either, whatever the settings here say.

    Raises:
        MustStop: it reaches people, or does not say.
    """
    until = _PERMITTED_UNTIL.search(await _metrics(notifier))
    if until is None:
        raise MustStop(f"the notifier at {notifier} does not say whether it reaches real people")
    if float(until[1]) != 0:
        raise MustStop(f"the notifier at {notifier} reaches real people: its KVITTERA_CHANNEL must be outbox")


async def _metrics(notifier: str) -> str:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), raise_for_status=True) as session,
            session.get(f"{notifier}/metrics") as reply,
        ):
            return await reply.text()
    except (aiohttp.ClientError, TimeoutError):
        return ""


def _postgres_hosts(dsn: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Every host that an address names, in each of the driver's ways."""
    address = urlsplit(dsn)
    named = [address.netloc.rpartition("@")[2], *parse_qs(address.query).get("host", [])]
    if not any(named):
        named = [environment.get("PGHOST", "")]
    for part in ",".join(named).split(","):
        yield part if part.startswith("/") else _host(part)


def _host(part: str) -> str:
    return urlsplit(f"//{part.strip()}").hostname or ""
