"""Reading what a browser posts: within bounds, and text of a form or nothing."""

from urllib.parse import parse_qsl

from starlette.requests import Request

Pairs = tuple[tuple[str, str], ...]
"""The fields in the order they were sent, empty ones included; a field may come often."""


class NotAForm(Exception):
    """What was posted is no form in UTF-8, or has too many fields."""


class TooLarge(NotAForm):
    """What was posted is longer than forms are."""


async def read_pairs(request: Request, *, longest: int, most_fields: int) -> Pairs:
    """Read a posted form of at most so many bytes and fields.

    Raises:
        TooLarge, NotAForm: it cannot be used; nothing beyond `longest` bytes was read.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > longest:
            raise TooLarge
    try:
        text = body.decode("ascii")
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most_fields))
    except ValueError:
        raise NotAForm from None


async def first_values(request: Request, *, longest: int, most_fields: int = 20) -> dict[str, str]:
    """The first value of each field; none at all where it cannot be used as a form."""
    try:
        return dict(reversed(await read_pairs(request, longest=longest, most_fields=most_fields)))
    except NotAForm:
        return {}
