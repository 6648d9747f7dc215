"""What a browser posts is read within bounds, and is a form in UTF-8 or nothing."""

from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from services.chassis.forms import NotAForm, TooLarge, first_values, read_pairs


def posted(*parts: bytes) -> tuple[Request, list[bytes]]:
    """A request, and the parts of its body that were not asked for yet."""
    left = list(parts)

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive), left


async def pairs(parts: Iterable[bytes], longest: int = 100, most_fields: int = 3) -> tuple[tuple[str, str], ...]:
    return await read_pairs(posted(*parts)[0], longest=longest, most_fields=most_fields)


async def test_fields_come_in_their_order_with_empty_ones_and_repeats() -> None:
    assert await pairs([b"case=1&no", b"te=&case=2+%C3%A5"]) == (("case", "1"), ("note", ""), ("case", "2 å"))


@pytest.mark.parametrize("body", [b"note=\xc3\xa5", b"note=%ff", b"a=1&b=2&c=3&d=4"])
async def test_what_is_no_form_in_utf_8_or_has_too_many_fields_is_refused(body: bytes) -> None:
    with pytest.raises(NotAForm):
        await pairs([body])
    assert await first_values(posted(body)[0], longest=100, most_fields=3) == {}


async def test_reading_ends_at_the_first_byte_too_many() -> None:
    request, left = posted(b"a=" + b"1" * 98, b"2", b"never read")
    with pytest.raises(TooLarge):
        await read_pairs(request, longest=100, most_fields=3)
    assert left == [b"never read"]
    assert await first_values(posted(b"a=" + b"1" * 99)[0], longest=100) == {}


async def test_of_a_field_that_comes_twice_the_first_value_holds() -> None:
    assert await first_values(posted(b"role=agent&role=lead&terminal=")[0], longest=100) == {
        "role": "agent",
        "terminal": "",
    }
