"""Bodies of requests, within a size and a time: nobody holds a connection or the memory (security rows 10 and 11)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from services.survey.answers.responses import LONGEST_BODY, Rejected

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
LONGEST_INBOUND = 1024 * 1024
"""Bytes of what a provider hands over: a batch of WhatsApp also tells of our own messages, and a text may be long."""
_BODY_SECONDS = 10.0
_LENGTH_DIGITS = 12


async def read_body(
    headers: Mapping[str, str],
    receive: Callable[[], Awaitable[Any]],
    media_type: str,
    longest: int = LONGEST_BODY,
) -> bytes:
    """The body of a request, within ten seconds and as many bytes as given: 32 KiB where nothing else is said.

    Raises:
        Rejected: `content-type` for another media type, `size` for too much, `body` for what cannot be read.
        TimeoutError: it did not come in time.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise Rejected("content-type", f"must be {media_type}")
    too_long = Rejected("size", f"is over {longest // 1024} KiB")
    told = headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit()):
        raise Rejected("body", "has a length that is no number")
    if len(told) > _LENGTH_DIGITS or int(told) > longest:
        raise too_long
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(_BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Rejected("body", "ended early")
            part = message.get("body", b"")
            size += len(part)
            if size > longest:
                raise too_long
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
