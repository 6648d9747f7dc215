"""The channel that reaches real people, as the settings describe it."""

from datetime import datetime

from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.channels import Channel
from services.notifier.channels.described import Surroundings
from services.notifier.channels.providers import build_providers, read_providers
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.routed import SMTP
from services.notifier.channels.smtp import SmtpTable
from services.notifier.send_guard import check_permission


def live_channel(settings: Settings, seal: Seal, metrics: Metrics, now: datetime) -> Channel:
    """A channel that reaches real people; opens no connection yet.

    Raises:
        MustStop: a live channel without a permission, or a wrong providers' file.
    """
    check_permission(settings, now, metrics)
    surroundings = Surroundings(ReceiptLinks(seal, settings.receipts_url or settings.public_url), settings.brand)
    if settings.channel == "providers":
        if settings.providers_file is None:
            raise MustStop("KVITTERA_CHANNEL=providers needs KVITTERA_PROVIDERS_FILE; docs/channels.md tells its form")
        return build_providers(read_providers(settings.providers_file), surroundings, metrics)
    return smtp_table(settings).build(surroundings)


def smtp_table(settings: Settings) -> SmtpTable:
    """The provider of KVITTERA_CHANNEL=smtp, as a providers' file would hold it."""
    return SmtpTable(
        name=SMTP,
        host=settings.smtp_host,
        port=settings.smtp_port,
        security="auto",
        sender=settings.smtp_sender,
        bounces=settings.smtp_bounces or None,
        timeout_seconds=settings.smtp_timeout_seconds,
    )
