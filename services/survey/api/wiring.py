"""The API put together, on the pool, the relay and the clock of the page's answers."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.routing import Mount

from schemas.delivery import Touchpoint
from services.chassis.settings import Settings
from services.survey.answers.handlers import Answers
from services.survey.api.answering import AnswerRoutes
from services.survey.api.application import PREFIX, Routes, make_api
from services.survey.api.clients import Clients
from services.survey.api.effects import PATIENCE, Effects
from services.survey.api.inbound import InboundRoutes
from services.survey.api.kiosk import KioskRoutes
from services.survey.api.once import Once
from services.survey.api.provider_inbound import ProviderInbound, Secrets
from services.survey.api.reading import Door
from services.survey.api.signatures import Signatures
from services.survey.definitions import Definitions


def api_mount(
    settings: Settings,
    answers: Answers,
    definitions: Definitions,
    caught_up: Callable[[], Awaitable[bool]],
    cut_off: Callable[[float], bool],
    patience: float = PATIENCE,
) -> Mount:
    """Everything under `/api`."""
    pool, now = answers.pool, answers.now
    door = Door(pool=pool, clients=Clients(), now=now)
    once = Once(pool=pool, now=now)
    kiosk = KioskRoutes(
        pool=pool,
        door=door,
        relay=answers.relay,
        metrics=answers.metrics,
        now=now,
        debounce=timedelta(seconds=settings.kiosk_debounce_seconds),
        survey=definitions.choose(None, Touchpoint.SHOP_PICKUP).id,
        lines=answers.lines,
    )
    responses = AnswerRoutes(answers=answers, pool=pool, door=door, once=once, caught_up=caught_up)
    effects = Effects(answers, answers.metrics, now, caught_up, cut_off, settings.inbound_country, patience)
    inbound = InboundRoutes(effects, Signatures.from_setting(settings.inbound_secrets), once)
    secrets = Secrets(
        settings.inbound_url_secret.get_secret_value(),
        settings.inbound_twilio_token.get_secret_value(),
        settings.inbound_whatsapp_secret.get_secret_value(),
    )
    providers = ProviderInbound(effects, secrets, once, settings.public_url)
    return Mount(PREFIX, make_api(Routes(answers=responses, kiosk=kiosk, inbound=inbound, providers=providers)))
