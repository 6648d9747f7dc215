"""Which provider gets a message: by weight, and another one only after a definite refusal (D17)."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.delivery import ChannelKind
from services.chassis.metrics import Metrics
from services.chassis.segments import segments
from services.notifier.channels import Channel, Fate, Message, Result
from services.notifier.channels.reports import Reporting

SMTP: Final = "smtp"
"""The provider of KVITTERA_CHANNEL=smtp, in metrics and return paths."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A channel under our name for it; weight 0 is tried only after the others refused.

    Attributes:
        longest_call_seconds: so long one call may take.
    """

    name: str
    weight: int
    channel: Channel
    longest_call_seconds: float = 0.0


@dataclass(slots=True)
class Routed:
    """All providers as one channel.

    Attributes:
        draw: gives a number in [0, 1).
        clock: seconds, never going back.
        longest_call_seconds: of one message, where all providers of its kind are tried in turn.
    """

    providers: Sequence[Provider]
    metrics: Metrics
    draw: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)
    clock: Callable[[], float] = time.monotonic
    kinds: frozenset[ChannelKind] = field(init=False)
    longest_call_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = frozenset[ChannelKind]().union(*(p.channel.kinds for p in self.providers))
        in_turn = (sum(p.longest_call_seconds for p in self.providers if k in p.channel.kinds) for k in self.kinds)
        self.longest_call_seconds = max(in_turn, default=0.0)

    async def send(self, message: Message) -> Result:
        """Hand over to one provider. The next is tried only when the one before took nothing: not now, or not this."""
        told = Result(Fate.REFUSED, "no_provider", elsewhere=True)
        for provider in self._in_turn(message.kind):
            began = self.clock()
            result = await provider.channel.send(message)
            of_call = {"provider": provider.name, "channel": message.kind.value}
            self.metrics.observe("kvittera_provider_call_seconds", self.clock() - began, **of_call)
            self.metrics.count("kvittera_provider_calls_total", provider=provider.name, result=result.fate.value)
            if message.kind is ChannelKind.SMS and result.fate in {Fate.ACCEPTED, Fate.IN_DOUBT}:
                self.metrics.count("kvittera_sms_segments_total", segments(message.text), provider=provider.name)
            if told.elsewhere or not result.elsewhere:  # who cannot take it says nothing about those who may later
                told = result
            if result.fate is not Fate.REFUSED_FOR_NOW and not result.elsewhere:
                break
        return told

    def _in_turn(self, kind: ChannelKind) -> list[Provider]:
        """The providers for this message: one drawn by weight first, then the rest by falling weight."""
        able = sorted((p for p in self.providers if kind in p.channel.kinds), key=lambda p: -p.weight)
        if len(able) == 1:
            return able
        point = self.draw() * sum(p.weight for p in able)
        for provider in able:
            point -= provider.weight
            if point < 0:
                return [provider, *(p for p in able if p is not provider)]
        return able

    async def look_up(self, reference: str) -> Result | None:
        """What became of a message: accepted if one took it; unknown as long as one cannot tell."""
        found = [await p.channel.look_up(reference) for p in self.providers]
        taken = next((r for r in found if r is not None and r.fate is Fate.ACCEPTED), None)
        if taken is not None or any(r is None or r.fate is Fate.IN_DOUBT for r in found):
            return taken
        return found[0] if found else None

    async def close(self) -> None:
        """Let all connections go."""
        for provider in self.providers:
            await provider.channel.close()


def reporting(channel: Channel, name: str) -> dict[str, Reporting]:
    """The providers that report back, by name; `name` is that of a channel that is its own only provider."""
    each = [(p.name, p.channel) for p in channel.providers] if isinstance(channel, Routed) else [(name, channel)]
    return {name: channel for name, channel in each if isinstance(channel, Reporting)}
