"""The doctor's look at the way to people: their pages, the host in links, and the channel that messages leave by."""

import asyncio
import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.chassis.staff.origins import reached_from_here_only
from services.doctor.findings import Finding
from services.notifier.channels.live import live_channel
from services.notifier.send_guard import who_is_reached


async def addresses(settings: Settings) -> list[Finding]:
    """Recipients can find the host in our links, and may trust it."""
    link = urlsplit(settings.public_url)
    host = link.hostname or ""
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except socket.gaierror:
        return [Finding("link host", "ill", f"{host} has no address", "set KVITTERA_PUBLIC_URL to a name in your DNS")]
    if link.scheme == "http":
        return [
            Finding(
                "link host", "look", f"{host}, without encryption", "serve https in front and set KVITTERA_PUBLIC_URL"
            )
        ]
    return [Finding("link host", "well", host)]


async def staff(settings: Settings) -> list[Finding]:
    """Staff can open their pages."""
    if settings.staff_sign_in == "off" and not reached_from_here_only(settings):
        do = "set KVITTERA_STAFF_SIGN_IN=oidc and the provider (docs/operations.md, Sign-in for staff)"
        return [Finding("staff pages", "look", "shut, since nobody can sign in", do)]
    return [Finding("staff pages", "well", f"KVITTERA_STAFF_SIGN_IN={settings.staff_sign_in}")]


async def sending(settings: Settings) -> list[Finding]:
    """Who is reached, and that a notifier with these settings could begin; nothing is sent.

    Raises:
        MustStop: it could not; says what the notifier would say.
    """
    reached = Finding("sending", "well", who_is_reached(settings, datetime.now(UTC)))
    if settings.channel == "outbox":
        return [reached]
    seal = Seal.of(settings)
    await live_channel(settings, seal, Metrics(), datetime.now(UTC)).close()
    return [reached, *([await _mail_server(settings)] if settings.channel == "smtp" else [])]


async def _mail_server(settings: Settings) -> Finding:
    at = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        _, writer = await asyncio.open_connection(settings.smtp_host, settings.smtp_port)
    except OSError as error:
        return Finding(
            "mail server", "ill", f"{at} does not answer ({type(error).__name__})", "check KVITTERA_SMTP_HOST"
        )
    writer.close()
    return Finding("mail server", "well", f"{at} answers")
