"""Outcome messages put together from the settings."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

from services.chassis.failures import MustStop
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool
from services.chassis.sealing import Box
from services.chassis.settings import Settings, live_sending
from services.chassis.staff.origins import is_loopback
from services.survey.cases.contacts import SealedContacts
from services.survey.outcomes.local import LocalOutbox
from services.survey.outcomes.message import OutcomeSender, Writer, ways_out
from services.survey.outcomes.sending import SendOutcomes
from services.survey.shared import Shared


def outcomes_of(shared: Shared) -> SendOutcomes | None:
    """What sends the words of staff; None where they cannot leave.

    Raises:
        MustStop: the gateway for text messages is not described as it must be.
    """
    settings, now = shared.settings, shared.now
    texts = text_gateway(settings)
    if not ways_out(settings.channel, settings.outcome_text_url):
        return None
    words = shared.seal.for_purpose("case notes")
    return SendOutcomes(
        pool=shared.pool,
        sender=_sender(settings, shared.pool, words),
        texts=texts,
        permitted=lambda: settings.channel == "outbox" or live_sending(settings, now()),
        contacts=SealedContacts(PersonKeys(shared.seal)),
        words=words,
        writer=Writer.load(settings.brand, settings.help_phone),
        metrics=shared.metrics,
        now=now,
        wake=shared.wake_relay,
        only_to=_only_to(settings.send_only_to.get_secret_value()),
        lease=timedelta(seconds=max(60, 3 * settings.smtp_timeout_seconds)),
    )


def _sender(settings: Settings, pool: Pool, words: Box) -> OutcomeSender | None:
    match settings.channel:
        case "outbox":
            return LocalOutbox(pool, words)
        case "smtp":
            from services.survey.outcomes.smtp import OutcomeMail

            return OutcomeMail(
                settings.smtp_host, settings.smtp_port, settings.smtp_sender, settings.smtp_timeout_seconds
            )
    return None


def text_gateway(settings: Settings) -> OutcomeSender | None:
    """What takes words to people who left a phone number; None where nothing does.

    Raises:
        MustStop: it is not described as it must be.
    """
    url, secret = settings.outcome_text_url, settings.outcome_text_secret.get_secret_value()
    if not url or settings.channel == "outbox":
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise MustStop("KVITTERA_OUTCOME_TEXT_URL must begin with https: numbers and words are not sent in the clear")
    if re.fullmatch(r"whsec_[A-Za-z0-9+/]{16,}={0,2}", secret) is None:
        raise MustStop("KVITTERA_OUTCOME_TEXT_SECRET must be the secret of the gateway: whsec_ and base64")
    from services.survey.outcomes.text_message import TextGateway  # its HTTP client is a tenth of the service's start

    return TextGateway(url, secret, settings.smtp_timeout_seconds)


def _only_to(text: str) -> frozenset[str] | None:
    """The addresses of KVITTERA_SEND_ONLY_TO; None: everybody. An empty list is nobody."""
    if text.strip() == "*":
        return None
    return frozenset(address.strip().casefold() for line in text.splitlines() for address in line.split(","))
