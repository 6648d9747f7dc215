"""Bodies of requests, within a size and a time: nobody holds a connection or the memory (security rows 10 and 11)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from services.survey.answers.responses import LONGEST_BODY, Rejected

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
_BODY_SECONDS = 10.0
_LENGTH_DIGITS = 12


async def read_body(headers: Mapping[str, str], receive: Callable[[], Awaitable[Any]], media_type: str) -> bytes:
    """The body of a request, within 16 KiB and ten seconds.

    Raises:
        Rejected: `content-type` for another media type, `size` for too much, `body` for what cannot be read.
        TimeoutError: it did not come in time.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise Rejected("content-type", f"must be {media_type}")
    told = headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit()):
        raise Rejected("body", "has a length that is no number")
    if len(told) > _LENGTH_DIGITS or int(told) > LONGEST_BODY:
        raise Rejected("size", "is over 16 KiB")
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(_BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Rejected("body", "ended early")
            part = message.get("body", b"")
            size += len(part)
            if size > LONGEST_BODY:
                raise Rejected("size", "is over 16 KiB")
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
