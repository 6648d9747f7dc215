"""The doctor's look at those who carry our messages: each is there and is who it says; no message is ever sent.

No key or password is sent either, so that a key that holds no more is not found here.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.chassis.staff.origins import is_loopback
from services.doctor.findings import Finding
from services.doctor.mail_servers import mail_server
from services.doctor.reach import Place, UnreachedError, in_time, reach
from services.notifier.channels.live import smtp_table
from services.notifier.channels.providers import AnyTable, read_providers
from services.notifier.channels.safe_address import Doorman, UnsafeAddressError, by_system
from services.notifier.channels.smtp import SmtpTable
from services.notifier.channels.web_push import WebPushTable
from services.notifier.channels.webhook import WebhookTable
from services.survey.outcomes.wiring import text_gateway

_OUTSIDE: Final = Doorman(by_system)


async def gateways(settings: Settings) -> list[Finding]:
    """The mail server or every provider that messages leave by, whether or not they may leave now."""
    if settings.channel == "smtp":
        return [await mail_server("mail server", smtp_table(settings), "KVITTERA_SMTP_HOST and KVITTERA_SMTP_PORT")]
    if settings.channel == "outbox" or settings.providers_file is None:
        return []
    try:
        told = read_providers(settings.providers_file)
    except MustStop:
        return []  # the look at sending tells it
    return await each_provider(told.provider)


async def each_provider(tables: Sequence[AnyTable], doorman: Doorman = _OUTSIDE) -> list[Finding]:
    """A finding for each, all looked at together."""
    return list(await asyncio.gather(*(_provider(table, doorman) for table in tables)))


async def _provider(table: AnyTable, doorman: Doorman) -> Finding:
    what = f"provider {table.name}"
    setting = f"{what} of KVITTERA_PROVIDERS_FILE"
    match table:
        case SmtpTable():
            return await mail_server(what, table, setting)
        case WebPushTable():
            return Finding(what, "well", "every browser names a push service of its own: there is none to look at")
        case WebhookTable():
            return await _given_address(what, table.url, setting, doorman)
    return await _web_server(what, table.url, setting)


async def _given_address(what: str, url: str, setting: str, doorman: Doorman) -> Finding:
    """As the channel calls it: at the number that was judged, and no other."""
    try:
        async with asyncio.timeout_at(in_time()):
            number, pinned = await doorman.pinned(url)
    except UnsafeAddressError as why:
        do = f"the address in {setting} must be https, public, at port 443 or 8443, and hold no log-in"
        return Finding(what, "ill", f"messages are not sent to its address ({why})", do)
    except (OSError, UnicodeError):
        return Finding(what, "ill", f"{Place.of(url, setting).host} has no address now", f"check the name in {setting}")
    place = Place.of(number, setting)
    return await _reached(what, Place(place.host, place.port, setting, pinned["server_hostname"]), encrypted=True)


async def _web_server(what: str, url: str, setting: str) -> Finding:
    place, encrypted = Place.of(url, setting), url.startswith("https:")
    found = await _reached(what, place, encrypted=encrypted)
    if encrypted or found.verdict != "well" or is_loopback(place.host):
        return found
    do = f"write https in {setting}: numbers, words and the key go in the clear"
    return Finding(what, "look", f"{place} answers, and does not encrypt", do)


async def _reached(what: str, place: Place, *, encrypted: bool) -> Finding:
    try:
        await reach(place, encrypted=encrypted)
    except UnreachedError as why:
        return Finding(what, "ill", why.found, why.do)
    return Finding(what, "well", f"{place} answers{', and its certificate holds' * encrypted}")


async def outcome_texts(settings: Settings) -> list[Finding]:
    """The gateway that takes staff's words to people who left a phone number, where there is one.

    Raises:
        MustStop: the survey service would not start with it.
    """
    if text_gateway(settings) is None:
        return []
    return [await _web_server("outcome texts", settings.outcome_text_url, "KVITTERA_OUTCOME_TEXT_URL")]


async def traces(settings: Settings) -> list[Finding]:
    """The collector of traces, where there is one; nothing waits for it."""
    if settings.otlp_endpoint is None:
        return []
    found = await _web_server("traces", settings.otlp_endpoint, "KVITTERA_OTLP_ENDPOINT")
    return [Finding(found.what, "look", found.found, found.do) if found.verdict == "ill" else found]
