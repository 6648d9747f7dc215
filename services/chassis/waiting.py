"""Telling that a server is waited for, so that nobody looks at silence."""

import sys
import time
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger()
AGAIN_SECONDS: Final = 15.0


def waits_for(
    server: str, setting: str, *, now: Callable[[], float] = time.monotonic
) -> Callable[[BaseException], None]:
    """What to call with each attempt's error: tells the first at once, then one every quarter of a minute.

    A service tells its log, a command the terminal.
    """
    due = now()

    def tell(error: BaseException) -> None:
        nonlocal due
        if now() < due:
            return
        due = now() + AGAIN_SECONDS
        fault = type(error).__name__
        if structlog.is_configured():
            log.warning("waits for a server", action="wait", server=server, look_at=setting, error=fault)
        else:
            sys.stderr.write(f"waiting for {server} ({fault}); look at {setting} and whether it runs\n")

    return tell
