"""Who may be reached at all: nobody outside by default, with an expiring permission everybody or a list (H54)."""

from datetime import UTC, datetime, timedelta

import structlog

from schemas.delivery import ChannelKind, ContactChannel
from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.chassis.settings import Settings, live_sending
from services.notifier.policy import normalised

log = structlog.get_logger()
EVERYBODY = "*"
LONGEST_PERMISSION = timedelta(days=366)
"""A permission without a near end would be none that expires."""


def check_permission(settings: Settings, now: datetime, metrics: Metrics) -> None:
    """Make sure that a channel that reaches real people is meant, and show until when.

    A permission that is over lets nothing out, and does not keep a notifier from starting: deliveries, wishes and
    receipts come all the same.

    Raises:
        MustStop: KVITTERA_LIVE_SENDING_UNTIL is unset or too far away.
    """
    until = settings.live_sending_until
    if until is None:
        raise MustStop(
            f"KVITTERA_CHANNEL={settings.channel} reaches real people: "
            "set KVITTERA_LIVE_SENDING_UNTIL to a moment in the future"
        )
    if until - now > LONGEST_PERMISSION:
        raise MustStop(
            f"KVITTERA_LIVE_SENDING_UNTIL is more than {LONGEST_PERMISSION.days} days ahead: a permission must expire"
        )
    metrics.set("kvittera_sending_permitted_until_timestamp_seconds", until.timestamp())
    if not live_sending(settings, now):
        log.warning("the permission to send is over: nothing leaves", action="keep_waiting", until=until.isoformat())


def who_is_reached(settings: Settings, now: datetime) -> str:
    """In words, from the settings of this process."""
    if settings.channel == "outbox":
        return "nobody outside: messages stay in the outbox viewer"
    if not live_sending(settings, now):
        return f"nobody: the permission for {settings.channel} is over or was never given"
    listed = addresses_of(settings.send_only_to.get_secret_value())
    whom = "everybody" if listed is None else f"listed addresses only, {len(listed)} of them"
    assert settings.live_sending_until is not None
    return f"{whom}, until {settings.live_sending_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def addresses_of(only_to: str) -> list[str] | None:
    """The addresses of a list, by commas and lines; None: everybody.

    A line that begins with a brace is one address, as push has them.
    """
    if only_to.strip() == EVERYBODY:
        return None
    lines = [line.strip() for line in only_to.splitlines()]
    given = [part.strip() for line in lines for part in ([line] if line.startswith("{") else line.split(","))]
    return [address for address in given if address]


def persons_allowed(only_to: str, seal: Seal) -> frozenset[bytes] | None:
    """The persons behind a list of addresses; None: everybody may be reached.

    An address counts for every kind of channel. An empty list is nobody: a file that was not filled must not open
    the door.
    """
    addresses = addresses_of(only_to)
    if addresses is None:
        return None
    return frozenset(
        seal.pseudonym(normalised(ContactChannel.model_construct(kind=kind, address=address)))
        for address in addresses
        for kind in ChannelKind
    )
