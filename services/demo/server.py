"""The demo's own web server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.demo.runtime import Demo


@asynccontextmanager
async def page_server(demo: Demo, stop: asyncio.Event, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Serve."""
    say(f"http://127.0.0.1:{demo.options.port}")
    yield
