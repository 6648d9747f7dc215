"""The providers' file: read, checked, and made into one channel."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.wrong_fields import wrong_fields
from services.notifier.channels.described import Surroundings
from services.notifier.channels.elks import ElksTable
from services.notifier.channels.gateway import GatewayTable
from services.notifier.channels.routed import Provider, Routed
from services.notifier.channels.smtp import SmtpTable
from services.notifier.channels.twilio import TwilioTable
from services.notifier.channels.web_push import WebPushTable
from services.notifier.channels.webhook import WebhookTable
from services.notifier.channels.whatsapp import WhatsappTable

AnyTable = Annotated[
    SmtpTable | GatewayTable | ElksTable | TwilioTable | WebPushTable | WebhookTable | WhatsappTable,
    Field(discriminator="adapter"),
]


class ProvidersFile(BaseModel):
    """`[[provider]]` tables."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    provider: tuple[AnyTable, ...] = Field(min_length=1)


def read_providers(path: Path) -> ProvidersFile:
    """Read and check the file.

    Raises:
        MustStop: it cannot be read, or says what it must not; the message names the file and the place.
    """
    try:
        told = ProvidersFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MustStop(f"{path}: {error}") from None
    except ValidationError as error:
        raise MustStop(f"{path}: {wrong_fields(error)}") from None
    names = [p.name for p in told.provider]
    if doubled := {n for n in names if names.count(n) > 1}:
        raise MustStop(f"{path}: two providers are called {', '.join(sorted(doubled))}")
    return told


def build_providers(told: ProvidersFile, surroundings: Surroundings, metrics: Metrics) -> Routed:
    """All of them as one channel.

    Raises:
        MustStop: a secret is missing.
    """
    return Routed(
        [Provider(p.name, p.weight, p.build(surroundings), p.longest_call_seconds) for p in told.provider], metrics
    )
