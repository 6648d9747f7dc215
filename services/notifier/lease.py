"""How long a send may take before it is taken from its process: never less than its calls may."""

from services.notifier.channels import Channel, Timed
from services.notifier.claim import PERMIT_SECONDS

_TO_SETTLE = 3.0
"""Seconds that may pass from an answer until it is written."""


def lease_seconds(wanted: float, channel: Channel) -> float:
    """The lease that is wanted, or a longer one where the time-outs of providers need it.

    A call that outlasts its lease is in doubt, and what its provider says then is lost.
    """
    longest = channel.longest_call_seconds if isinstance(channel, Timed) else 0.0
    return max(wanted, PERMIT_SECONDS + longest + _TO_SETTLE) if longest else wanted
