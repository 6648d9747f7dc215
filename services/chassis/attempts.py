"""Work that fails for a reason that may pass is done again: at its next time, or until it is done."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from services.chassis.failures import is_transient
from services.chassis.pauses import pauses

log = structlog.get_logger()


@contextmanager
def tried_again_later(what: str) -> Iterator[None]:
    """Let work that comes round again miss a turn: the log says which. Raises what does not pass by itself."""
    try:
        yield
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("will try again", action="retry", what=what, error=type(error).__name__)


async def until_done(work: Callable[[], Awaitable[object]]) -> None:
    """Do what must be done, with growing pauses between attempts. Raises what does not pass by itself."""
    for pause in pauses():
        try:
            await work()
        except Exception as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(pause)
        else:
            return
