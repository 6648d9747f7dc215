"""Before the first claim: what a process does for the first time takes far longer than ever after, so it is tried."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from schemas.delivery import ChannelKind
from services.chassis.failures import is_transient
from services.chassis.postgres import Pool
from services.notifier.claim import Claims
from services.notifier.phrasing import Invitation
from services.notifier.policy import LANGUAGES
from services.notifier.render import Renderer

log = structlog.get_logger()
_NOBODY = Invitation(
    reference="",
    fence=0,
    kind=ChannelKind.EMAIL,
    address="",
    token="",
    language="en",
    merchant_name=None,
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    zone="UTC",
)


def speak_each_language(renderer: Renderer) -> Iterator[str]:
    """Render a mail in one language after the other: names of days and months are read from disk, 20 ms for each."""
    for language in LANGUAGES:
        for reminder in (False, True):
            renderer.render(replace(_NOBODY, language=language, reminder=reminder))
        yield language


async def warm_up(claiming: Pool, claims: Claims, renderer: Renderer) -> None:
    """Render mails to nobody and try a claim that is taken back."""
    for _ in speak_each_language(renderer):
        await asyncio.sleep(0)
    try:
        async with claiming.acquire() as connection:
            await claims.warm_up(connection)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("the first claim will take longer", action="ignore", error=type(error).__name__)
