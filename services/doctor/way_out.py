"""The doctor's look at the way to people: the hosts that they are shown, staff's pages, and who is written to."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.chassis.settings import Settings, live_sending
from services.chassis.staff.gate import CookieGate, gate_for
from services.chassis.staff.origins import reached_from_here_only
from services.chassis.staff.provider import Provider, ProviderAway, provider_for
from services.doctor.findings import Finding, judged
from services.doctor.reach import Place, UnreachedError, in_time, reach
from services.notifier.channels.live import live_channel
from services.notifier.channels.safe_address import Address, Resolve, by_system, embedded
from services.notifier.policies import read_policies
from services.notifier.policy import Policies
from services.notifier.send_guard import who_is_reached

_ENDS_SOON = timedelta(days=1)


async def addresses(settings: Settings, resolve: Resolve = by_system) -> list[Finding]:
    """Recipients can find the host in our links, and may trust it; so can staff and providers, where theirs differ."""
    hosts: dict[str, tuple[str, str]] = {}
    for what, url, setting in (
        ("link host", settings.public_url, "KVITTERA_PUBLIC_URL"),
        ("staff host", settings.staff_url, "KVITTERA_STAFF_URL"),
        ("receipts host", settings.receipts_url, "KVITTERA_RECEIPTS_URL"),
    ):
        if host := urlsplit(url).hostname:
            hosts.setdefault(host, (what, setting))
    links, *others = [await _host(host, *told, settings, resolve) for host, told in hosts.items()]
    if links.verdict == "well" and settings.public_url.startswith("http:"):
        do = "serve https in front and set KVITTERA_PUBLIC_URL"
        links = Finding(links.what, "look", f"{links.found}, without encryption", do)
    elif links.verdict == "well" and not settings.trusted_proxies:
        do = "set KVITTERA_TRUSTED_PROXIES to the number of proxies in front, which have the https"
        links = Finding(links.what, "look", f"{links.found}, where one who guesses links shuts out everybody", do)
    return [links, *others]


async def _host(host: str, what: str, setting: str, settings: Settings, resolve: Resolve) -> Finding:
    try:
        found = await resolve(host, 443)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            return Finding(what, "ill", f"{host} cannot be looked up now", "check this machine's DNS")
        return Finding(what, "ill", f"{host} has no address", f"set {setting} to a name in your DNS")
    except UnicodeError:
        return Finding(what, "ill", f"{host} is no name", f"set {setting} to a name in your DNS")
    if settings.channel == "outbox" or what == "staff host":
        return Finding(what, "well", host)  # nobody outside is told of it
    return _outside(host, what, setting, [embedded(ipaddress.ip_address(n.partition("%")[0])) for n in found])


def _outside(host: str, what: str, setting: str, numbers: Sequence[Address]) -> Finding:
    """Whether people and providers elsewhere get to a host that leads to these numbers here."""
    if all(n.is_loopback for n in numbers):
        return Finding(what, "ill", f"{host} is the machine of whoever asks", f"set {setting} to where they reach it")
    if not any(n.is_global for n in numbers):
        do = "see that it leads to a public number when asked from outside, where the people are"
        return Finding(what, "look", f"{host} leads to {numbers[0]} here, which is not public", do)
    return Finding(what, "well", host)


async def staff(settings: Settings) -> list[Finding]:
    """Staff can open their pages and, where they sign in at a provider, can do that.

    Raises:
        MustStop: the services would not start with these settings.
    """
    if settings.staff_sign_in == "off" and not reached_from_here_only(settings):
        do = "set KVITTERA_STAFF_SIGN_IN=oidc and the provider (docs/operations.md, Sign-in for staff)"
        return [Finding("staff pages", "look", "shut, since nobody can sign in", do)]
    found = [Finding("staff pages", "well", f"KVITTERA_STAFF_SIGN_IN={settings.staff_sign_in}")]
    gate = gate_for(settings, lambda: datetime.now(UTC))
    if settings.staff_sign_in == "oidc" and isinstance(gate, CookieGate):
        provider = provider_for(settings, gate.origin)
        try:
            found.append(await _sign_in(provider))
        finally:
            await provider.client.aclose()
    return found


async def _sign_in(provider: Provider) -> Finding:
    what, place = "sign-in provider", Place.of(provider.issuer, "KVITTERA_OIDC_ISSUER")
    try:
        async with asyncio.timeout_at(in_time()):
            await provider.check()
    except (ProviderAway, TimeoutError) as away:
        try:
            await reach(place, encrypted=provider.issuer.startswith("https:"))
        except UnreachedError as why:
            return Finding(what, "ill", why.found, why.do)
        url = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        do = f"KVITTERA_OIDC_ISSUER must be what {url} tells as its issuer, with endpoints and keys"
        return Finding(what, "ill", f"{place} {away}" if str(away) else f"{place} does not tell what it offers", do)
    return Finding(what, "well", f"{place} tells what it offers, and its keys")


async def sending(settings: Settings) -> list[Finding]:
    """Who is reached, and that a notifier with these settings could begin; nothing is sent.

    Raises:
        MustStop: it could not; says what the notifier would say.
    """
    now = datetime.now(UTC)
    if settings.channel != "outbox":
        await live_channel(settings, Seal.of(settings), Metrics(), now).close()
    lasts = settings.channel == "outbox" or live_sending(settings, now + _ENDS_SOON)
    do = "set KVITTERA_LIVE_SENDING_UNTIL to a later moment, or KVITTERA_CHANNEL=outbox where nobody is to be reached"
    return [judged("sending", who_is_reached(settings, now), fine=lasts, otherwise="look", do=do)]


async def reminders(settings: Settings) -> list[Finding]:
    """People are reminded while they can answer.

    Raises:
        MustStop: the policies cannot be read.
    """
    policies = read_policies(settings.policies_folder).at(datetime.now(UTC))
    return judge_reminders(policies, settings.lock_after_days)


def judge_reminders(policies: Policies, lock_after_days: float) -> list[Finding]:
    """Whether the link of a reminder still takes answers."""
    days = policies.hours.reminder_days
    if days is None:
        return []
    found = f"after {days} days; links take answers for {lock_after_days:g}"
    do = "lower reminder_days in the policy of hours, or raise KVITTERA_LOCK_AFTER_DAYS: nobody is reminded"
    return [judged("reminders", found, fine=days < lock_after_days, otherwise="look", do=do)]
