"""The doctor's look at a mail server: it greets, encrypts and answers; no mail is begun, and nobody logs in."""

import asyncio
import ssl
from typing import Final

import aiosmtplib

from services.chassis.staff.origins import is_loopback
from services.doctor.findings import Finding
from services.doctor.reach import SECONDS, Place, UnreachedError, connected, in_time, unproved
from services.notifier.channels.smtp import START_TLS, SmtpTable

_GREETS_FROM: Final = 200
_PORTS: Final = 'mail servers greet at 25 and 587; at 465 they encrypt from the start: security = "tls"'
_NO_STARTTLS: Final = 'it must offer STARTTLS, or encrypt from the start: security = "tls", most often at port 465'


async def mail_server(what: str, table: SmtpTable, setting: str) -> Finding:
    """Whether the mail server takes a session as our mails need it."""
    place = Place(table.host, table.port, setting)
    deadline = in_time()
    try:
        connection = await connected(place, deadline)
        client = aiosmtplib.SMTP(
            hostname=table.host,
            sock=connection,
            timeout=SECONDS,
            use_tls=table.security == "tls",
            start_tls=START_TLS[table.security],
        )
        try:
            async with asyncio.timeout_at(deadline):
                return _judged(what, place, table, *await _spoken(client))
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failed(error, place) from None
        finally:
            client.close()
    except UnreachedError as why:
        return Finding(what, "ill", why.found, why.do)


async def _spoken(client: aiosmtplib.SMTP) -> tuple[bool, bool]:
    """Greet, encrypt where it is asked for, say nothing, and leave; whether it was encrypted, and takes log-ins."""
    await client.connect()
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()
    found = client.get_transport_info("sslcontext") is not None, client.supports_extension("auth")
    await client.noop()
    await client.quit()
    return found


def _judged(what: str, place: Place, table: SmtpTable, encrypted: bool, logs_in: bool) -> Finding:
    if table.username and not logs_in:
        do = f"check the port in {place.setting}: most take log-ins at 587, once it is encrypted"
        return Finding(what, "ill", f"{place} answers, and offers no log-in", do)
    if not encrypted and not is_loopback(table.host):
        do = 'addresses and links go in the clear: use a provider with security = "starttls" (docs/channels.md)'
        return Finding(what, "look", f"{place} answers, and does not encrypt", do)
    return Finding(what, "well", f"{place} answers{', encrypted' * encrypted}")


def _failed(error: aiosmtplib.SMTPException | OSError, place: Place) -> UnreachedError:
    """What an end of the session means."""
    handshake = error if isinstance(error, ssl.SSLError) else error.__cause__
    match error:
        case _ if isinstance(handshake, ssl.SSLError):
            return unproved(handshake, place)
        case aiosmtplib.SMTPResponseException() if error.code < _GREETS_FROM:
            return UnreachedError(f"{place} is no mail server", f"check host and port in {place.setting}: {_PORTS}")
        case aiosmtplib.SMTPResponseException():
            return UnreachedError(f"{place} refuses us with {error.code}", "ask who runs it to let this machine in")
        case TimeoutError():
            return UnreachedError(f"{place} takes the connection and says nothing", f"check the port: {_PORTS}")
        case OSError():
            return UnreachedError(f"{place} hangs up on us", f"ask who runs it to let this machine in; {_PORTS}")
    return UnreachedError(f"{place} offers no encryption", _NO_STARTTLS)
