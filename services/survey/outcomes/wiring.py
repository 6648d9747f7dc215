"""Outcome messages put together from the settings."""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.chassis.metrics import Metrics
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings, live_sending
from services.survey.cases.contacts import SealedContacts
from services.survey.outcomes.local import LocalOutbox
from services.survey.outcomes.message import OutcomeSender, Writer
from services.survey.outcomes.sending import SendOutcomes
from services.survey.outcomes.smtp import OutcomeMail


def outcomes_of(
    settings: Settings,
    *,
    pool: Pool,
    seal: Seal,
    metrics: Metrics,
    now: Callable[[], datetime],
    wake_relay: Callable[[], None],
) -> SendOutcomes | None:
    """What sends the words of staff; None where the installation's channel is none that the survey can use."""
    words = seal.for_purpose("case notes")
    sender: OutcomeSender
    if settings.channel == "outbox":
        sender = LocalOutbox(pool, words)
    elif settings.channel == "smtp":
        sender = OutcomeMail(
            settings.smtp_host, settings.smtp_port, settings.smtp_sender, settings.smtp_timeout_seconds
        )
    else:
        return None
    return SendOutcomes(
        pool=pool,
        sender=sender,
        permitted=lambda: settings.channel == "outbox" or live_sending(settings, now()),
        contacts=SealedContacts(PersonKeys(seal)),
        words=words,
        writer=Writer.load(settings.brand, settings.help_phone),
        metrics=metrics,
        now=now,
        wake=wake_relay,
        only_to=_only_to(settings.send_only_to.get_secret_value()),
        lease=timedelta(seconds=max(60, 3 * settings.smtp_timeout_seconds)),
    )


def _only_to(text: str) -> frozenset[str] | None:
    """The addresses of KVITTERA_SEND_ONLY_TO; None: everybody. An empty list is nobody."""
    if text.strip() == "*":
        return None
    return frozenset(address.strip().casefold() for line in text.splitlines() for address in line.split(","))
