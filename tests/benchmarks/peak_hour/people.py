"""Simulated people at a rate, and the proof that nothing of theirs was lost or doubled."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas.delivery import ChannelKind
from services.audit import Audit, run_audit
from services.chassis.settings import Settings
from services.demo.inbox import ViewerPages
from services.demo.people import Case, Town, now
from services.demo.recipients import Recipients
from services.demo.report import count_missing
from services.demo.upstream import Upstream
from tests.benchmarks.peak_hour.place import Place
from tests.benchmarks.peak_hour.provider import Provider

_ANSWERING = 0.25
"""Of those who answer in the demo, six tenths of all: fifteen of a hundred are left."""
_SETTLE_SECONDS = 60.0
_SEED = 11


@dataclass(slots=True)
class People:
    """Who sends deliveries and who answers."""

    upstream: Upstream
    recipients: Recipients


def people(place: Place, settings: Settings, rate: float) -> People:
    """A town at so many deliveries a second; its people read what the provider has taken."""
    town, dice = Town(_SEED, settings.brand), random.Random(_SEED)
    upstream = Upstream(settings, _cases(town, dice), rate, {})
    mailbox, survey = f"http://127.0.0.1:{place.provider_port}", f"http://127.0.0.1:{place.survey_port}"
    return People(upstream, Recipients(ViewerPages(mailbox), survey, upstream.behaviours, concurrency=64))


def _cases(town: Town, dice: random.Random) -> Iterator[Case]:
    """Deliveries to those who are not reached by mail; a few of them answer."""
    while True:
        case = town.next_case(now())
        if any(channel.kind is ChannelKind.EMAIL for channel in case.delivery.pii.channels):
            continue
        answers = case.behaviour.answers and dice.random() < _ANSWERING
        yield replace(case, behaviour=replace(case.behaviour, answers=answers))


def _is_done(found: People, provider: Provider, audit: Audit) -> bool:
    read = found.recipients.handled == len(provider.messages)
    counted = audit.deliveries == found.upstream.published and audit.counted == len(found.recipients.acknowledged)
    return read and counted


async def until_proven(found: People, provider: Provider, settings: Settings) -> None:
    """Wait until all is decided, sent, answered and counted, once; the upstream has been told to stop.

    Raises:
        AssertionError: something is lost, doubled or wrong.
    """
    await found.upstream.done.wait()
    until = time.monotonic() + _SETTLE_SECONDS
    audit = await run_audit(settings)
    while not _is_done(found, provider, audit) and time.monotonic() < until:
        await asyncio.sleep(1)
        audit = await run_audit(settings)
    missing = await count_missing(settings, found.recipients.acknowledged.values())
    assert audit.clean, f"the audit finds {audit.as_dict()}"
    assert audit.deliveries == found.upstream.published, f"{audit.deliveries} of {found.upstream.published} are counted"
    assert missing == 0, f"{missing} answers were acknowledged and not counted as they were"
    asked = {message["reference"] for message in provider.messages}
    assert len(asked) == len(provider.messages), "somebody was asked twice"
