"""Bodies of requests are read within their size; what is too long by its own word is not read at all."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.survey.answers.responses import Rejected
from services.survey.bodies import JSON, read_body

MOST = 32 * 1024


def sending(*parts: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    left = list(parts)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


async def never() -> dict[str, Any]:
    raise AssertionError("nothing of it is read")


@pytest.mark.parametrize("parts", [(b"",), (b"a" * MOST,), (b"a" * 10_000, b"", b"a" * 22_768)])
async def test_a_body_of_32_kilobytes_is_read_whole(parts: tuple[bytes, ...]) -> None:
    told = {"content-type": "Application/JSON; charset=utf-8", "content-length": str(sum(map(len, parts)))}
    assert await read_body(told, sending(*parts), JSON) == b"".join(parts)


@pytest.mark.parametrize("parts", [(b"a" * (MOST + 1),), (b"a" * MOST, b"a")])
async def test_a_byte_more_is_refused_whatever_length_was_told(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(Rejected, match="size"):
        await read_body({"content-type": JSON}, sending(*parts), JSON)


async def test_who_may_send_more_is_held_to_that() -> None:
    assert await read_body({"content-type": JSON}, sending(b"a" * MOST, b"a"), JSON, MOST + 1) == b"a" * (MOST + 1)
    with pytest.raises(Rejected, match="is over 64 KiB"):
        await read_body({"content-type": JSON, "content-length": str(2 * MOST + 1)}, never, JSON, 2 * MOST)


@pytest.mark.parametrize(
    ("length", "field"),
    [
        (str(MOST + 1), "size"),
        ("9" * 13, "size"),
        ("9" * 5000, "size"),
        ("-1", "body"),
        ("1e3", "body"),
        ("", "body"),
        ("٣", "body"),
        ("²", "body"),
    ],
)
async def test_what_is_too_long_by_its_own_word_or_tells_no_length_is_not_read(length: str, field: str) -> None:
    with pytest.raises(Rejected) as refused:
        await read_body({"content-type": JSON, "content-length": length}, never, JSON)
    assert refused.value.field == field


async def test_another_media_type_is_not_read() -> None:
    with pytest.raises(Rejected, match="content-type"):
        await read_body({"content-type": "text/json"}, never, JSON)


async def test_a_body_that_ends_early_is_refused() -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(Rejected, match="ended early"):
        await read_body({"content-type": JSON}, gone, JSON)
